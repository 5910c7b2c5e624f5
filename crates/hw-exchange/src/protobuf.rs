//! As much of Protocol Buffers' wire format as ONNX needs.

/// A message being written. Fields of value 0 are written too: ONNX tells absent from zero.
#[derive(Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn int(mut self, field: u32, value: i64) -> Self {
        self.varint(u64::from(field << 3));
        self.varint(value as u64);
        self
    }

    pub(crate) fn float(mut self, field: u32, value: f32) -> Self {
        self.varint(u64::from(field << 3 | 5));
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field << 3 | 2));
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(crate) fn message(self, field: u32, value: Self) -> Self {
        self.bytes(field, &value.0)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The value of a field being read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Int(u64),
    Fixed32([u8; 4]),
    Bytes(&'a [u8]),
}

/// The fields of a message in order; `None` at the first that makes no sense.
pub(crate) fn fields(mut bytes: &[u8]) -> Option<Vec<(u32, Value<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Int(varint(&mut bytes)?),
            1 => {
                take(&mut bytes, 8)?;
                continue;
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Value::Bytes(take(&mut bytes, length)?)
            }
            5 => Value::Fixed32(take(&mut bytes, 4)?.try_into().ok()?),
            _ => return None,
        };
        fields.push((u32::try_from(key >> 3).ok()?, value));
    }
    Some(fields)
}

/// The numbers of a packed field.
pub(crate) fn packed(mut bytes: &[u8]) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(varint(&mut bytes)?);
    }
    Some(numbers)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(count)?;
    *bytes = tail;
    Some(head)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let inner = Message::default().text(1, "x");
        let written = Message::default()
            .int(1, 300)
            .int(2, -1)
            .float(3, 1.5)
            .message(16, inner)
            .finish();
        // 300 is the specification's own example of a variable-length number.
        assert_eq!(written[..3], [0x08, 0xac, 0x02]);
        let read = fields(&written).unwrap();
        let expected = [
            (1, Value::Int(300)),
            (2, Value::Int(u64::MAX)),
            (3, Value::Fixed32(1.5f32.to_le_bytes())),
            (16, Value::Bytes(&[0x0a, 1, b'x'])),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_message_cut_short_anywhere_is_refused_or_shorter() {
        let whole = Message::default().int(1, 7).text(2, "seven").finish();
        for length in 0..whole.len() {
            let read = fields(&whole[..length]);
            assert!(read.is_none_or(|fields| fields.len() < 2), "{length}");
        }
        assert!(fields(&[0x0b]).is_none() && fields(&[0xff; 12]).is_none());
    }
}
