//! Functions of the service that the engine lacks.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMillisecondType};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
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
