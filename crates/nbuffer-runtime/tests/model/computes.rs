use std::path::Path;
use std::sync::Arc;

use nbuffer_core::tensor::DType;
use nbuffer_runtime::{
    Compute, DeviceError, Engine, EngineError, Graph, GraphTensor, HostBuffer, InputSet, Model, OutputSet,
    Session,
};
use serde_json::json;

use crate::files::ModelFiles;

/// An engine whose every graph has the given edges, and whose sessions write the batch they were asked for.
#[derive(Clone, Debug)]
struct Edges {
    inputs: Vec<GraphTensor>,
    outputs: Vec<GraphTensor>,
}

impl Engine for Edges {
    fn name(&self) -> &'static str {
        "edges"
    }

    fn describe(&self) -> String {
        "edges 1.0".to_owned()
    }

    fn load(&self, _graph: &Path) -> Result<Arc<dyn Graph>, EngineError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Graph for Edges {
    fn inputs(&self) -> &[GraphTensor] {
        &self.inputs
    }

    fn outputs(&self) -> &[GraphTensor] {
        &self.outputs
    }

    fn session(&self, batch: usize, threads: usize) -> Result<Box<dyn Session>, EngineError> {
        Ok(Box::new(Settings { batch, threads }))
    }
}

struct Settings {
    batch: usize,
    threads: usize,
}

impl Session for Settings {
    fn run(&mut self, _inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), EngineError> {
        outputs[0].bytes_mut()[..2].copy_from_slice(&[self.batch as u8, self.threads as u8]);
        Ok(())
    }
}

fn tensor(name: &str, dims: &[Option<usize>], dtype: DType) -> GraphTensor {
    GraphTensor { name: name.to_owned(), dims: dims.to_vec(), dtype }
}

/// What the graph of [`ModelFiles::digits`] should declare.
fn digits_edges() -> Edges {
    Edges {
        inputs: vec![tensor("image", &[None, Some(10), Some(16), Some(4)], DType::I8)],
        outputs: vec![tensor("scores", &[Some(1), Some(1), Some(1), Some(64)], DType::I8)],
    }
}

fn compute(model: &Model, edges: Edges) -> Result<Compute, DeviceError> {
    let engine: Arc<dyn Engine> = Arc::new(edges);
    Compute::new(model, &engine)
}

fn run(compute: &Compute, fill: impl Fn(&mut [HostBuffer])) -> OutputSet {
    let mut input = InputSet::zeroed(compute.inputs());
    let mut output = OutputSet::zeroed(compute.outputs());
    fill(&mut input);
    // What an earlier item left behind must not show.
    output.iter_mut().for_each(|buffer| buffer.bytes_mut().fill(0xee));
    compute.session(3).unwrap().run(&input, &mut output).unwrap();
    output
}

#[test]
fn a_graph_that_agrees_gives_its_names_to_the_tensors() {
    let model = ModelFiles::digits().open().unwrap();
    let compute = compute(&model, digits_edges()).unwrap();
    assert_eq!((compute.inputs()[0].name(), compute.outputs()[0].name()), ("image", "scores"));
    assert_eq!(compute.inputs()[0].padding(), model.inputs[0].padding());
    assert_eq!(compute.outputs()[0].zero_point(), 146);
    assert_eq!((compute.describe(), compute.batch()), ("edges 1.0".to_owned(), 1));
    assert_eq!(run(&compute, |_| ())[0].bytes()[..2], [1, 3]);
}

#[test]
fn a_graph_that_disagrees_is_refused_with_both_shapes() {
    let model = ModelFiles::digits().open().unwrap();
    let check = |change: &dyn Fn(&mut Edges), says: &[&str]| {
        let mut edges = digits_edges();
        change(&mut edges);
        let message = compute(&model, edges).unwrap_err().to_string();
        for part in [&format!("model `{}`", model.name)[..]].iter().chain(says) {
            assert!(message.contains(part), "should say {part:?}: {message}");
        }
    };
    check(&|edges| edges.inputs.clear(), &["the graph has 0 inputs, the manifest has 1"]);
    let extra = tensor("extra", &[], DType::I8);
    check(&|edges| edges.outputs.push(extra.clone()), &["the graph has 2 outputs, the manifest has 1"]);
    check(
        &|edges| edges.inputs[0].dims[3] = Some(3),
        &["input 0 `image`", "int8 [?, 10, 16, 3]", "int8 [1, 10, 16, 4]"],
    );
    check(&|edges| edges.inputs[0].dims[2] = None, &["int8 [?, 10, ?, 4]", "int8 [1, 10, 16, 4]"]);
    check(&|edges| edges.outputs[0].dims.truncate(3), &["output 0 `scores`", "[1, 1, 1]", "[1, 1, 1, 64]"]);
    check(&|edges| edges.outputs[0].dtype = DType::F32, &["float32 [1, 1, 1, 64]", "int8 [1, 1, 1, 64]"]);
    check(&|edges| edges.outputs[0].dims[0] = Some(4), &["[4, 1, 1, 64]", "[1, 1, 1, 64]"]);
}

#[test]
fn a_plain_graph_gives_its_own_tensors() {
    let files = ModelFiles::digits();
    let model = Model::open(files.path("digits.onnx")).unwrap();
    let mut edges = Edges {
        inputs: vec![tensor("image", &[None, Some(3), Some(8), Some(8)], DType::F32)],
        outputs: vec![tensor("scores", &[None, Some(10)], DType::F32), tensor("count", &[], DType::I64)],
    };
    let open = compute(&model, edges.clone()).unwrap();
    assert_eq!((open.inputs()[0].name(), open.inputs()[0].shape()), ("image", &[1, 3, 8, 8][..]));
    assert_eq!((open.outputs()[0].shape(), open.outputs()[0].dtype()), (&[1, 10][..], DType::F32));
    assert_eq!((open.outputs()[1].shape(), open.outputs()[1].size()), (&[][..], 8));
    assert_eq!((open.inputs()[0].scale(), open.inputs()[0].zero_point()), (1.0, 0));

    // A batch the graph fixes holds for what it leaves open.
    edges.inputs[0].dims[0] = Some(4);
    let fixed = compute(&model, edges).unwrap();
    assert_eq!((fixed.batch(), fixed.outputs()[0].shape()), (4, &[4, 10][..]));
    assert_eq!(run(&fixed, |_| ())[0].bytes()[..2], [4, 3]);
}

#[test]
fn a_plain_graph_that_says_too_little_is_refused() {
    let files = ModelFiles::digits();
    let model = Model::open(files.path("digits.onnx")).unwrap();
    let good = Edges {
        inputs: vec![tensor("image", &[None, Some(3)], DType::F32)],
        outputs: vec![tensor("scores", &[None, Some(10)], DType::F32)],
    };
    let check = |change: &dyn Fn(&mut Edges), says: &str| {
        let mut edges = good.clone();
        change(&mut edges);
        let message = compute(&model, edges).unwrap_err().to_string();
        assert!(message.contains("model `digits`") && message.contains(says), "{says:?}: {message}");
    };
    check(
        &|edges| edges.outputs[0].dims[1] = None,
        "output 0 `scores`: the graph leaves dimension 1 of [?, ?] open",
    );
    check(&|edges| edges.inputs.clear(), "the graph has no input");
    check(&|edges| edges.outputs.clear(), "the graph has no output");
    check(
        &|edges| edges.inputs[0].dims = vec![Some(1); 9],
        "input 0: tensor `image`: shape has 9 dimensions",
    );
    check(&|edges| edges.inputs[0].dims[1] = Some(usize::MAX), "more bytes than can be addressed");
    check(&|edges| edges.inputs[0].dims[1] = Some(1 << 40), "shape [1, 1099511627776] takes");
}

#[test]
fn identity_copies_every_tensor() {
    let mut files = ModelFiles::built_in("identity", json!([1, 4]), json!([1, 2, 2]));
    files.manifest = json!({
        "quantize_params": [[1, 0], [1, 0]], "dequantize_params": [[1, 0], [1, 0]],
        "input_shapes": [[1, 4], [1, 1, 3]], "output_shapes": [[1, 2, 2], [1, 3]],
    });
    let compute = compute(&files.open().unwrap(), digits_edges()).unwrap();
    assert_eq!(compute.describe(), "identity (built in)");
    let set = run(&compute, |inputs| {
        inputs[0].bytes_mut().copy_from_slice(&[1, 2, 3, 4]);
        inputs[1].bytes_mut().copy_from_slice(&[5, 6, 7]);
    });
    assert_eq!((set[0].bytes(), set[1].bytes()), (&[1, 2, 3, 4][..], &[5, 6, 7][..]));
}

#[test]
fn checksum_is_fnv1a_of_all_input_bytes_and_the_rest_is_zero() {
    let mut files = ModelFiles::built_in("checksum", json!([1, 3]), json!([1, 10]));
    files.set_manifest("/input_shapes", json!([[1, 2], [1, 4]]));
    files.set_manifest("/quantize_params", json!([[1, 0], [1, 0]]));
    let compute = compute(&files.open().unwrap(), digits_edges()).unwrap();
    assert_eq!(compute.describe(), "checksum (built in)");
    let set = run(&compute, |inputs| {
        inputs[0].bytes_mut().copy_from_slice(b"fo");
        inputs[1].bytes_mut().copy_from_slice(b"obar");
    });
    // FNV-1a of "foobar", as its authors publish it.
    let expected = 0x8594_4171_f739_67e8_u64.to_le_bytes();
    assert_eq!(set[0].bytes(), [&expected[..], &[0, 0]].concat());
}

#[test]
fn a_program_computes_with_its_built_in_form() {
    let mut files = ModelFiles::power();
    let float = compute(&files.open().unwrap(), digits_edges()).unwrap();
    assert_eq!(float.describe(), "power (built in)");
    let set = run(&float, |inputs| {
        inputs[0].as_mut_slice().copy_from_slice(&[0.0, 1.0, 2.0, -3.0, 0.5, 9.0, 10.0, 1.5_f32])
    });
    assert_eq!(set[0].as_slice::<f32>(), [0.0, 1.0, 128.0, -2187.0, 0.0078125, 4_782_969.0, 1e7, 17.085938]);

    files.set_manifest("/input_dtypes/0", json!("uint32"));
    files.set_manifest("/output_dtypes/0", json!("uint32"));
    let whole = compute(&files.open().unwrap(), digits_edges()).unwrap();
    let set = run(&whole, |inputs| {
        inputs[0].as_mut_slice().copy_from_slice(&[0, 1, 2, 3, 4, 5, 23, 1_u32 << 31 | 1])
    });
    let seventh = 23_u32.pow(7);
    assert_eq!(set[0].as_slice::<u32>(), [0, 1, 128, 2187, 16384, 78125, seventh, 1 << 31 | 1]);

    files.set_model("/nbuffer/program/cpu", json!("copy"));
    files.set_model("/nbuffer/program/args", json!([{ "input": 0 }, { "output": 0 }, { "u32": 8 }]));
    let copy = compute(&files.open().unwrap(), digits_edges()).unwrap();
    let numbers = [8, 7, 6, 5, 4, 3, 2, 1_u32];
    let set = run(&copy, |inputs| inputs[0].as_mut_slice().copy_from_slice(&numbers));
    assert_eq!(set[0].as_slice::<u32>(), numbers);

    files.manifest = json!({
        "input_shapes": [[1, 2], [1, 2]], "input_dtypes": ["float32", "float32"],
        "output_shapes": [[1, 2]], "output_dtypes": ["float32"],
    });
    files.set_model("/nbuffer/program/cpu", json!("saxpy"));
    let args = json!([{ "input": 0 }, { "input": 1 }, { "output": 0 }, { "f32": 2.5 }, { "u32": 2 }]);
    files.set_model("/nbuffer/program/args", args);
    let saxpy = compute(&files.open().unwrap(), digits_edges()).unwrap();
    let set = run(&saxpy, |inputs| {
        inputs[0].as_mut_slice().copy_from_slice(&[2.0, -4.0_f32]);
        inputs[1].as_mut_slice().copy_from_slice(&[1.0, 0.25_f32]);
    });
    assert_eq!(set[0].as_slice::<f32>(), [6.0, -9.75]);
}

#[test]
fn a_program_without_a_built_in_form_has_no_values_here() {
    let mut files = ModelFiles::power();
    files.set_model("/nbuffer/program/cpu", json!(null));
    let message = compute(&files.open().unwrap(), digits_edges()).unwrap_err().to_string();
    assert!(message.contains("its program has no `cpu` form"), "{message}");
}

#[test]
fn a_built_in_kernel_of_a_model_made_by_hand_is_checked_too() {
    let mut model = ModelFiles::built_in("identity", json!([1, 4]), json!([1, 4])).open().unwrap();
    model.outputs.clear();
    let message = compute(&model, digits_edges()).unwrap_err().to_string();
    assert!(message.contains("inputs have [4] B and outputs [] B"), "{message}");
}

#[test]
fn only_the_vendors_runtime_computes_a_compiled_model() {
    let mut files = ModelFiles::digits();
    files.model.as_object_mut().unwrap().remove("nbuffer");
    let engine: Arc<dyn Engine> = Arc::new(Edges { inputs: Vec::new(), outputs: Vec::new() });
    let error = Compute::new(&files.open().unwrap(), &engine).unwrap_err().to_string();
    assert!(error.contains("only the vendor's runtime can compute it (`--device metis`)"), "{error}");
}
