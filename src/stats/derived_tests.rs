//! Which values a path leads to.

use super::*;
use arrow::array::{
    FixedSizeListArray, Float32Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMillisecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Field, Float32Type, Int32Type};
use proptest::prelude::*;

fn derived(text: &str) -> Derived {
    text.parse().unwrap()
}

fn told(derived: &str, root: &ArrayRef) -> Vec<Option<String>> {
    let derived = self::derived(derived);
    let values = derived.values(root).unwrap();
    assert_eq!(values.data_type(), &derived.data_type(root.data_type()).unwrap(), "{derived}");
    let text = cast(&values, &DataType::Utf8).unwrap();
    text.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn fields_of_structs_are_null_where_the_struct_is() {
    let city: ArrayRef = Arc::new(StringArray::from(vec![Some("Rome"), Some("hidden"), None]));
    let field = Arc::new(Field::new("the city", DataType::Utf8, true));
    let nulls = NullBuffer::from(vec![true, false, true]);
    let root: ArrayRef = Arc::new(StructArray::new(vec![field].into(), vec![city], Some(nulls)));
    assert_eq!(told("address.`the city`", &root), [Some("Rome".into()), None, None]);
    assert_eq!(told("length(address.`the city`)", &root), [Some("4".into()), None, None]);
    let wrong = derived("address.zip").data_type(root.data_type()).unwrap_err();
    assert_eq!(wrong, "there is no field `zip`, but the city");
}

#[test]
fn elements_are_those_of_the_lists_that_are_there() {
    let lists = vec![Some(vec![Some(1), Some(2)]), None, Some(vec![]), Some(vec![None, Some(7)])];
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let sliced: ArrayRef = Arc::new(list.slice(1, 3));
    let list: ArrayRef = Arc::new(list);
    let number = |text: &str| Some(text.to_owned());
    assert_eq!(told("x[]", &list), [number("1"), number("2"), None, number("7")]);
    assert_eq!(told("x[]", &sliced), [None, number("7")]);
    assert_eq!(told("size(x)", &list), [number("2"), None, number("0"), number("2")]);
    let fixed = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        vec![Some(vec![Some(0.5), Some(1.5)]), None],
        2,
    );
    let fixed: ArrayRef = Arc::new(fixed);
    assert_eq!(told("x[]", &fixed), some(&["0.5", "1.5"]));
    assert_eq!(derived("embedding(x)").data_type(fixed.data_type()).unwrap(), *fixed.data_type());
}

#[test]
fn words_are_runs_of_letters_and_digits() {
    let text: ArrayRef =
        Arc::new(StringArray::from(vec![Some("Late, LATE: 2 hours!"), None, Some("…")]));
    let mut expected = some(&["2", "hours", "late"]);
    expected.push(None);
    assert_eq!(told("tokens(body)", &text), expected);
    let number: ArrayRef = Arc::new(Float32Array::from(vec![1.0]));
    assert!(derived("tokens(x)").data_type(number.data_type()).unwrap_err().contains("no text"));
    assert!(RecordBatch::try_from_iter([("x", number)]).is_ok());
}

#[test]
fn what_is_no_path_is_told() {
    for (text, word) in [
        ("plain", "already"),
        ("a.", "no path"),
        ("a[0]", "no path"),
        ("`a", "no path"),
        ("median(x)", "none of size, length, tokens, embedding"),
        ("size(x", "does not end"),
        ("size()", "no path"),
    ] {
        let refused = text.parse::<Derived>().unwrap_err();
        assert!(refused.contains(word), "{text}: {refused}");
    }
    assert_eq!(derived("`a.b``c`[].d").root(), "a.b`c");
    assert_eq!(derived("a.`b`").sql().unwrap(), "`a`.`b`");
    assert_eq!(derived("tags[]").sql(), None);
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "[a-z`.\\[\\]() é]{0,12}") {
        if let Ok(derived) = text.parse::<Derived>() {
            prop_assert_eq!(derived.name(), text.trim());
            prop_assert!(!derived.root().is_empty());
        }
    }
}

#[test]
fn times_are_instants_and_places_in_the_day_and_week() {
    // The last hour before 1970 and noon of a Sunday.
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![
        Some(-3_600_000),
        None,
        Some(1_772_366_400_000),
    ]));
    let row = |texts: [&str; 2]| [Some(texts[0].to_owned()), None, Some(texts[1].to_owned())];
    assert_eq!(told("hour(t)", &times), row(["23", "12"]));
    assert_eq!(told("weekday(t)", &times), row(["2", "6"]));
    assert_eq!(told("days(t)", &times), row(["-0.041666666666666664", "20513.5"]));
    let zoned: ArrayRef =
        Arc::new(TimestampMillisecondArray::from(vec![0]).with_timezone("Asia/Tokyo"));
    assert_eq!(told("hour(t)", &zoned), some(&["0"]), "in UTC, wherever it was written");
    assert_eq!(derived("hour(t)").data_type(&DataType::Int64).unwrap_err(), "Int64 is no time");
}
