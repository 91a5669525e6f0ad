//! Functions of the service that the engine lacks.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMillisecondType};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::functions_aggregate::approx_distinct::ApproxDistinct;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature,
    Volatility,
};

/// `unix_millis(timestamp)`: milliseconds since 1970, rounded down.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct UnixMillis {
    signature: Signature,
}

impl UnixMillis {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for UnixMillis {
    fn name(&self) -> &str {
        "unix_millis"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Timestamp(..)] => Ok(DataType::Int64),
            _ => exec_err!("unix_millis takes one TIMESTAMP"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = &arguments.args[..] else {
            return exec_err!("unix_millis takes one TIMESTAMP");
        };
        let times = argument.to_array(arguments.number_rows)?;
        let zone = match times.data_type() {
            DataType::Timestamp(_, zone) => zone.clone(),
            other => return exec_err!("unix_millis takes a TIMESTAMP, not {other}"),
        };
        let millis = cast(&times, &DataType::Timestamp(TimeUnit::Millisecond, zone))?;
        let millis: Int64Array = millis.as_primitive::<TimestampMillisecondType>().iter().collect();
        Ok(ColumnarValue::Array(Arc::new(millis)))
    }
}

/// `approx_count_distinct(value)`: about how many different values there are, of
/// floating-point numbers as well.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ApproxCountDistinct {
    signature: Signature,
    inner: ApproxDistinct,
}

impl ApproxCountDistinct {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
            inner: ApproxDistinct::new(),
        }
    }
}

impl AggregateUDFImpl for ApproxCountDistinct {
    fn name(&self) -> &str {
        "approx_count_distinct"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [kind] if kind.is_floating() => Ok(vec![DataType::Utf8]),
            [kind] => Ok(vec![kind.clone()]),
            _ => exec_err!("approx_count_distinct takes one value"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Counted(self.inner.accumulator(arguments)?)))
    }
}

/// Gives a BIGINT, as the service does.
#[derive(Debug)]
struct Counted(Box<dyn Accumulator>);

impl Accumulator for Counted {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()?.cast_to(&DataType::Int64)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
