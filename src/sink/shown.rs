//! Times as text, whatever their zone.
//!
//! In:  a column that may hold times in a named zone.
//! Out: the same instants in a zone that Arrow prints without a zone database.

use std::sync::Arc;

use arrow_array::{ArrayRef, make_array};
use arrow_schema::DataType;

use crate::error::Result;

/// The offset of coordinated universal time; Arrow prints it as `Z`.
const UTC: &str = "+00:00";

/// A column whose values print: instants of any zone become those of UTC.
pub(crate) fn printable(column: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, Some(zone)) = column.data_type() else {
        return Ok(Arc::clone(column));
    };
    if zone.as_ref() == UTC {
        return Ok(Arc::clone(column));
    }
    // The numbers count from the same moment in every zone.
    let universal = DataType::Timestamp(*unit, Some(UTC.into()));
    let data = column.to_data().into_builder().data_type(universal);
    Ok(make_array(data.build()?))
}

#[cfg(test)]
mod tests {
    use arrow_array::TimestampMillisecondArray;
    use arrow_cast::display::array_value_to_string;

    use super::*;

    #[test]
    fn a_named_zone_prints_as_universal_time() {
        for zone in ["UTC", "Europe/Berlin", "+02:00", "+00:00"] {
            let times = TimestampMillisecondArray::from(vec![1_767_225_600_037]);
            let times: ArrayRef = Arc::new(times.with_timezone(zone));
            let shown = printable(&times).unwrap();
            let text = array_value_to_string(&shown, 0).unwrap();
            assert_eq!(text, "2026-01-01T00:00:00.037Z", "{zone}");
        }
    }
}
