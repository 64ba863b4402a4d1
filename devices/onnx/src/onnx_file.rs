//! What an ONNX file declares about its edges, read without loading the graph.

use std::fs;
use std::io;
use std::path::Path;

use nbuffer_core::tensor::DType;
use nbuffer_runtime::GraphTensor;
use rten_onnx::onnx::{DataType, ModelProto, ValueInfoProto};
use rten_onnx::protobuf::{DecodeMessage, ErrorKind, OwnedValues, ProtobufError, ReadValue};

use crate::edge::unsupported_dtype;

/// Inputs and outputs of the graph in a file, in its order.
///
/// Refuses a file with a number of more than 10 bytes, on which rten's own reader turns for ever, and one with
/// a field longer than the file, for which it reserves that much memory. After this rten may have the file.
pub(crate) fn read_edges(path: &Path) -> Result<(Vec<GraphTensor>, Vec<GraphTensor>), String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let graph = ModelProto::decode(Bytes { bytes: &bytes, position: 0 })
        .map_err(|error| format!("not a whole ONNX file: {error}"))?
        .graph
        .ok_or("not an ONNX file: it holds no graph")?;
    // Files of old versions list their weights among the inputs.
    let is_weight = |info: &ValueInfoProto| graph.initializer.iter().any(|weight| weight.name == info.name);
    let inputs = graph.input.iter().filter(|info| !is_weight(info)).map(edge).collect::<Result<_, _>>()?;
    let outputs = graph.output.iter().map(edge).collect::<Result<Vec<_>, _>>()?;
    if outputs.is_empty() {
        return Err("not a whole ONNX file: its graph has no outputs".to_owned());
    }
    Ok((inputs, outputs))
}

fn edge(info: &ValueInfoProto) -> Result<GraphTensor, String> {
    let name = info.name.clone().unwrap_or_default();
    let Some(tensor) = info.r#type.as_ref().and_then(|declared| declared.tensor_type.as_ref()) else {
        return Err(format!("input or output `{name}` is not a tensor"));
    };
    let dtype = match tensor.elem_type.unwrap_or(DataType(0)) {
        DataType::FLOAT => DType::F32,
        DataType::INT8 => DType::I8,
        DataType::UINT8 => DType::U8,
        DataType::INT32 => DType::I32,
        DataType::INT64 => DType::I64,
        other => return Err(unsupported_dtype(&name, other.to_string().to_lowercase())),
    };
    let Some(shape) = &tensor.shape else {
        return Err(format!("tensor `{name}` declares no shape; add one with `onnx.shape_inference`"));
    };
    let dims = shape.dim.iter().map(|dim| dim.dim_value.and_then(|len| usize::try_from(len).ok())).collect();
    Ok(GraphTensor { name, dims, dtype })
}

/// Reads a file's bytes.
struct Bytes<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], ProtobufError> {
        let left = &self.bytes[self.position..];
        let Some((taken, _)) = left.split_at_checked(len) else {
            return Err(damaged(format!("a field of {len} B where the file has {} B left", left.len())));
        };
        self.position += len;
        Ok(taken)
    }
}

fn damaged(why: impl Into<String>) -> ProtobufError {
    io::Error::new(io::ErrorKind::InvalidData, why.into()).into()
}

impl ReadValue for Bytes<'_> {
    type Types = OwnedValues;

    fn read_i32(&mut self) -> Result<i32, ProtobufError> {
        Ok(i32::from_le_bytes(self.take(4)?.try_into().expect("4 bytes were taken")))
    }

    fn read_i64(&mut self) -> Result<i64, ProtobufError> {
        Ok(i64::from_le_bytes(self.take(8)?.try_into().expect("8 bytes were taken")))
    }

    fn read_varint(&mut self) -> Result<u64, ProtobufError> {
        if self.position == self.bytes.len() {
            return Err(ProtobufError::new(ErrorKind::Eof));
        }
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged("a number of more than 10 bytes"))
    }

    fn read_bytes(&mut self, len: usize) -> Result<Vec<u8>, ProtobufError> {
        self.take(len).map(<[u8]>::to_vec)
    }

    fn read_string(&mut self, len: usize) -> Result<String, ProtobufError> {
        String::from_utf8(self.read_bytes(len)?).map_err(|_| ProtobufError::new(ErrorKind::InvalidUtf8))
    }

    fn skip(&mut self, len: usize) -> Result<(), ProtobufError> {
        self.take(len).map(drop)
    }

    fn position(&self) -> u64 {
        self.position as u64
    }
}
