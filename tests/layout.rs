//! Do shaders and kernels agree about every size, offset, constant and binding? Read from the WGSL itself; no device needed.

use bayplan::gpu::{FILES, KERNELS, source};
use bayplan::kernel::{anneal, block, cut, drill, keep, layout, peak, points, price, score};
use std::collections::BTreeMap;
use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};
use wgpu::naga::{self, AddressSpace, Literal, Module, StorageAccess, TypeInner};

/// Bindings that every kernel may use, with what may be done to them.
const BINDINGS: [(u32, bool); 9] =
    [(0, false), (1, false), (2, false), (3, true), (4, true), (5, true), (6, true), (7, true), (8, true)];

fn parse(text: &str) -> Result<Module, String> {
    let module = naga::front::wgsl::parse_str(text).map_err(|error| error.emit_to_string(text))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::SHADER_INT64);
    validator.validate(&module).map_err(|error| error.emit_to_string(text))?;
    Ok(module)
}

fn files() -> Vec<&'static str> {
    let mut files: Vec<&str> = KERNELS.iter().map(|kernel| kernel.file).collect();
    files.dedup();
    files
}

/// Named integer constants of a module.
fn constants(module: &Module) -> BTreeMap<String, i128> {
    let value = |constant: &naga::Constant| match module.global_expressions[constant.init] {
        naga::Expression::Literal(Literal::U32(value)) => Some(i128::from(value)),
        naga::Expression::Literal(Literal::I32(value)) => Some(i128::from(value)),
        naga::Expression::Literal(Literal::I64(value)) => Some(i128::from(value)),
        _ => None,
    };
    let named = module.constants.iter().filter_map(|(_, constant)| Some((constant.name.clone()?, value(constant)?)));
    named.collect()
}

/// What the Rust side says a constant is.
fn expected(file: &str, name: &str) -> Option<i128> {
    let value = match (file, name) {
        (_, "NOWHERE" | "NOBODY" | "NO_GROUP") => u32::MAX,
        (_, "BLOCK_MASK") => (1 << keep::BLOCK_BITS) - 1,
        (_, "NODE_MASK") => (1 << cut::NODE_BITS) - 1,
        (_, "CONTROL_MOVED") => layout::CONTROL_MOVED,
        (_, "RESULT_BLOCKS") => layout::RESULT_BLOCKS,
        (_, "RESULT_WIDES") => layout::RESULT_WIDES,
        (_, "GROUP_WORDS") => layout::GROUP_WORDS,
        (_, "ROW_WORDS") => layout::ROW_WORDS,
        (_, "BALANCE_WORDS") => layout::BALANCE_WORDS,
        (_, "VARIANCE_WORDS") => layout::VARIANCE_WORDS,
        (_, "UTILISATION_MAX") => points::UTILISATION_MAX as u32,
        (_, "MIX_WORDS") => layout::MIX_WORDS,
        (_, "MILLI_SHIFT") => layout::MILLI_SHIFT,
        (_, "GUARDS") => layout::GUARDS,
        (_, "ROOM") => layout::ROOM,
        (_, "WHOLE") => layout::WHOLE,
        (_, "GROUP_CONFLICT") => layout::GROUP_CONFLICT,
        (_, "GROUP_GANG") => layout::GROUP_GANG,
        (_, "ROW_FLAG_CONFLICT") => layout::ROW_FLAG_CONFLICT,
        (_, "ROW_FLAG_WITHIN") => layout::ROW_FLAG_WITHIN,
        (_, "MAY_STOP") => layout::MAY_STOP,
        (_, "MOVABLE") => layout::MOVABLE,
        (_, "BLOCK_WORDS") => layout::BLOCK_WORDS,
        (_, "TABLE_GROUP_WORDS") => layout::TABLE_GROUP_WORDS,
        (_, "TABLE_ROW_WORDS") => layout::TABLE_ROW_WORDS,
        (_, "ROW_KEEP") => layout::ROW_KEEP,
        (_, "ROW_ENTER") => layout::ROW_ENTER,
        (_, "ROW_SLACK") => layout::ROW_SLACK,
        (_, "ROW_CONFLICT") => layout::ROW_CONFLICT,
        ("sort", "DIGITS") => layout::SORT_DIGITS,
        ("sort", "TILE") => layout::SORT_TILE,
        ("peak", "UNROLL") => peak::UNROLL,
        ("score", "CHUNK") => score::CHUNK,
        ("score", "TARGET_WIDES") => score::TARGET_WIDES,
        ("price", "CHUNK") => price::CHUNK,
        ("price", "CHEAPEST_WIDES") => price::CHEAPEST_WIDES,
        ("drill", "FAILED") => return Some(i128::from(drill::FAILED)),
        ("drill", "SPARE_SHIFT") => drill::SPARE_SHIFT,
        ("drill", "SCENARIO_WORDS") => drill::SCENARIO_WORDS,
        ("drill", "ANSWER_WORDS") => drill::ANSWER_WORDS,
        ("anneal", "LANES") => anneal::LANES as u32,
        (_, "BLOCK_NODES_MAX") => block::BLOCK_NODES_MAX as u32,
        (_, "HOME_NONE") => u32::from(block::HOME_NONE),
        (_, "HOME_OUTSIDE") => u32::from(block::HOME_OUTSIDE),
        (_, "NO_DOMAIN") => block::NO_DOMAIN.into(),
        // Lanes of a workgroup: compared with the entry points' sizes.
        (_, "LANES") => return None,
        _ => panic!("{file}.wgsl: constant {name} has no other half"),
    };
    Some(i128::from(value))
}

fn constant_objections(file: &str, module: &Module) -> Vec<String> {
    let mut objections = Vec::new();
    for (name, value) in constants(module) {
        if let Some(expected) = expected(file, &name).filter(|expected| *expected != value) {
            objections.push(format!("{file}.wgsl: {name} is {value}, the kernel says {expected}"));
        }
    }
    objections
}

fn params_objections(file: &str, module: &Module) -> Vec<String> {
    let found = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Params"));
    let Some((_, naga::Type { inner: TypeInner::Struct { members, span }, .. })) = found else {
        return vec![format!("{file}.wgsl: no struct Params")];
    };
    let mut objections = Vec::new();
    if *span as usize != size_of::<layout::Params>() {
        objections.push(format!("{file}.wgsl: Params has {span} bytes, not {}", size_of::<layout::Params>()));
    }
    for (i, (member, field)) in members.iter().zip(layout::Params::FIELDS).enumerate() {
        let is_u32 = matches!(module.types[member.ty].inner, TypeInner::Scalar(naga::Scalar::U32));
        if member.name.as_deref() != Some(*field) || member.offset as usize != i * 4 || !is_u32 {
            objections.push(format!("{file}.wgsl: field {i} is {:?} at {}, not {field}", member.name, member.offset));
        }
    }
    objections
}

fn binding_objections(file: &str, module: &Module) -> Vec<String> {
    let mut objections = Vec::new();
    for (_, variable) in module.global_variables.iter() {
        let Some(naga::ResourceBinding { group, binding }) = variable.binding else { continue };
        let name = variable.name.as_deref().unwrap_or("?");
        let is_written = match variable.space {
            AddressSpace::Uniform => false,
            AddressSpace::Storage { access } => access.contains(StorageAccess::STORE),
            _ => continue,
        };
        if group != 0 || !BINDINGS.contains(&(binding, is_written)) {
            objections.push(format!("{file}.wgsl: {name} at {group}/{binding}, written: {is_written}"));
        }
    }
    objections
}

fn entry_objections(file: &str, module: &Module) -> Vec<String> {
    let mut objections = Vec::new();
    let mine: Vec<_> = KERNELS.iter().filter(|kernel| kernel.file == file).collect();
    for entry in &module.entry_points {
        match mine.iter().find(|kernel| kernel.name == entry.name) {
            Some(kernel) if entry.workgroup_size == [kernel.workgroup, 1, 1] => {}
            Some(kernel) => {
                objections.push(format!("{file}.wgsl: {} has workgroups of {:?}", kernel.name, entry.workgroup_size));
            }
            None => objections.push(format!("{file}.wgsl: entry {} is in no table", entry.name)),
        }
        let lanes = constants(module).get("LANES").copied();
        let is_lone = entry.name == "keep_best";
        if lanes.is_some_and(|lanes| lanes != i128::from(entry.workgroup_size[0])) && !is_lone {
            objections.push(format!("{file}.wgsl: {} runs with other than LANES invocations", entry.name));
        }
    }
    for kernel in mine {
        if !module.entry_points.iter().any(|entry| entry.name == kernel.name) {
            objections.push(format!("{file}.wgsl: no entry {}", kernel.name));
        }
    }
    objections
}

/// Bytes of workgroup memory, every array counted at its full size.
fn workgroup_bytes(module: &Module) -> u32 {
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).expect("a valid module has sizes");
    let variables = module.global_variables.iter().filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
    variables.map(|(_, variable)| layouter[variable.ty].to_stride()).sum()
}

fn objections(file: &str, text: &str) -> Vec<String> {
    let module = match parse(text) {
        Ok(module) => module,
        Err(error) => return vec![format!("{file}.wgsl: {error}")],
    };
    let mut list = constant_objections(file, &module);
    list.extend(params_objections(file, &module));
    list.extend(binding_objections(file, &module));
    list.extend(entry_objections(file, &module));
    let bytes = workgroup_bytes(&module);
    if bytes > bayplan::gpu::WORKGROUP_BYTES {
        list.push(format!("{file}.wgsl: {bytes} bytes of workgroup memory, more than is asked of adapters"));
    }
    list
}

#[test]
fn shaders_and_kernels_agree() {
    let list: Vec<String> = files().into_iter().flat_map(|file| objections(file, &source(file))).collect();
    assert!(list.is_empty(), "\n{}", list.join("\n"));
    assert!(files().len() + 5 == FILES.len(), "every file is shared or has kernels");
}

/// A shifted field, another constant, a changed binding, a renamed entry: each must be noticed.
#[test]
fn each_check_objects() {
    let anneal = source("anneal");
    let edits = [
        ("    w_limit: u32,\n    w_soft: u32,", "    w_soft: u32,\n    w_limit: u32,", "field"),
        ("    r_pick: u32,", "    r_pick: u32,\n    extra: u32,", "bytes"),
        ("const TABLE_ROW_WORDS: u32 = 14u", "const TABLE_ROW_WORDS: u32 = 15u", "TABLE_ROW_WORDS"),
        ("const HOME_NONE: u32 = 255u", "const HOME_NONE: u32 = 250u", "HOME_NONE"),
        ("@binding(6)", "@binding(9)", "tables at 0/9"),
        ("var<storage, read> words", "var<storage, read_write> words", "words at 0/1, written: true"),
        ("fn anneal(", "fn annealing(", "no entry anneal"),
        ("@workgroup_size(32)", "@workgroup_size(64)", "workgroups of"),
        ("array<i64, 128>", "array<i64, 6400>", "workgroup memory"),
        ("let nodes_here", "let nodes_there", "anneal.wgsl: error"),
    ];
    assert!(objections("anneal", &anneal).is_empty());
    for (from, to, word) in edits {
        assert!(anneal.contains(from), "{from}");
        let list = objections("anneal", &anneal.replacen(from, to, 1));
        assert!(list.iter().any(|objection| objection.contains(word)), "{from} → {to}: {list:?}");
    }
}
