//! Which adapters are there, can they run the kernels, and how is one opened?

use super::Error;
use super::memory::{QUIET_MAX, Troubles};
use super::shader::{KERNELS, source};
use std::sync::Arc;
use wgpu::{Backends, DeviceType, Features, Limits};

/// What kind of machine an adapter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A card of its own.
    Discrete,
    /// Shares memory with the processor, or is a virtual card.
    Integrated,
    /// A program that pretends to be a card: right for tests, not for speed.
    Software,
}

impl Kind {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Discrete => "GPU",
            Kind::Integrated => "integrated or virtual GPU",
            Kind::Software => "software",
        }
    }
}

/// An adapter and what we think of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// Driver and version.
    pub driver: String,
    /// `vulkan`, `metal` or `dx12`.
    pub api: String,
    /// What it is.
    pub kind: Kind,
    /// 64-bit integers in shaders.
    pub has_int64: bool,
    /// Timestamps per kernel.
    pub has_timestamps: bool,
    /// Largest buffer in one binding, bytes.
    pub binding_bytes_max: u64,
    /// Workgroup memory, bytes.
    pub workgroup_bytes_max: u32,
    /// Subgroup sizes.
    pub subgroups: (u32, u32),
    /// What it lacks, each with the remedy; empty = usable.
    pub lacks: Vec<String>,
}

impl Adapter {
    /// Is it a program that pretends to be a card?
    pub fn is_software(&self) -> bool {
        self.kind == Kind::Software
    }

    /// Can it run the kernels?
    pub fn is_usable(&self) -> bool {
        self.lacks.is_empty()
    }
}

/// Storage buffers that a round's kernels bind.
const STORAGE_BUFFERS: u32 = 8;
/// Workgroup memory asked of an adapter: more than any kernel uses, which tests/layout.rs adds up from the shaders.
pub const WORKGROUP_BYTES: u32 = 9 * 1024;

fn describe(adapter: &wgpu::Adapter) -> Adapter {
    let (info, features, limits) = (adapter.get_info(), adapter.features(), adapter.limits());
    let mut lacks = Vec::new();
    if !features.contains(Features::SHADER_INT64) {
        lacks.push("it has no 64-bit integers in shaders (feature SHADER_INT64): a newer driver may".to_string());
    }
    let mut least = |name: &str, has: u32, needs: u32| {
        if has < needs {
            lacks.push(format!("it allows {has} {name}, {needs} are needed: a newer driver may allow more"));
        }
    };
    least("storage buffers per shader", limits.max_storage_buffers_per_shader_stage, STORAGE_BUFFERS);
    least("bytes of workgroup memory", limits.max_compute_workgroup_storage_size, WORKGROUP_BYTES);
    least("invocations per workgroup", limits.max_compute_invocations_per_workgroup, 256);
    Adapter {
        name: info.name.clone(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        api: info.backend.to_string(),
        kind: match info.device_type {
            DeviceType::DiscreteGpu => Kind::Discrete,
            DeviceType::Cpu => Kind::Software,
            _ => Kind::Integrated,
        },
        has_int64: features.contains(Features::SHADER_INT64),
        has_timestamps: features.contains(Features::TIMESTAMP_QUERY),
        binding_bytes_max: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        workgroup_bytes_max: limits.max_compute_workgroup_storage_size,
        subgroups: (info.subgroup_min_size, info.subgroup_max_size),
        lacks,
    }
}

fn found() -> Vec<(wgpu::Adapter, Adapter)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = Backends::PRIMARY;
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(Backends::PRIMARY));
    let mut list: Vec<_> = adapters.into_iter().map(|adapter| (describe(&adapter), adapter)).collect();
    // Usable before unusable, cards before software.
    list.sort_by_key(|(about, _)| (!about.is_usable(), about.kind as u8));
    list.into_iter().map(|(about, adapter)| (adapter, about)).collect()
}

/// All adapters, the best first.
pub fn adapters() -> Vec<Adapter> {
    found().into_iter().map(|(_, about)| about).collect()
}

/// An opened device with its compiled kernels.
pub struct Gpu {
    /// What was opened.
    pub about: Adapter,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) pipelines: Vec<wgpu::ComputePipeline>,
    /// Most workgroups per dimension of a dispatch.
    pub(super) groups_max: u32,
    /// Distance of two `Params` in their buffer, bytes.
    pub(super) params_stride: u64,
    pub(super) troubles: Arc<Troubles>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("about", &self.about).finish_non_exhaustive()
    }
}

impl Gpu {
    /// Opens the best adapter; software ones only when asked to.
    ///
    /// # Errors
    /// [`Error::Unusable`] names every adapter and what it lacks; [`Error::Failed`] when the driver refuses.
    pub fn open(with_software: bool) -> Result<Gpu, Error> {
        Gpu::open_with(with_software, &|_, text| text)
    }

    /// The same with every shader's text passed through `edit` (file name, text): a drill for the checks on results.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub fn open_with(with_software: bool, edit: &dyn Fn(&str, String) -> String) -> Result<Gpu, Error> {
        let list = found();
        let fits = |about: &Adapter| about.is_usable() && (with_software || about.kind != Kind::Software);
        match list.iter().position(|(_, about)| fits(about)) {
            Some(best) => {
                let (adapter, about) = &list[best];
                connect(adapter, about.clone(), edit)
            }
            None => Err(Error::Unusable(why_none(&list.into_iter().map(|(_, about)| about).collect::<Vec<_>>()))),
        }
    }

    /// Gives the device up, as a driver's reset would: a drill for going on without it.
    pub fn lose(&self) {
        self.device.destroy();
    }

    /// Splits dispatches as if the device allowed only so many workgroups per dimension: a drill for large problems.
    pub fn limit_workgroups(&mut self, count: u32) {
        self.groups_max = self.groups_max.min(count.max(1));
    }
}

/// Why no adapter will do, and what to do about it.
fn why_none(list: &[Adapter]) -> String {
    if list.is_empty() {
        return "no GPU was found: install its driver (Vulkan, Metal or DirectX 12), or use --backend cpu, which makes the \
                same plan"
            .to_string();
    }
    let mut text = "no adapter can run the kernels; --backend cpu makes the same plan".to_string();
    for about in list {
        let lacks = if about.is_usable() { "software only".to_string() } else { about.lacks.join("; ") };
        text.push_str(&format!("\n  {} ({}): {lacks}", about.name, about.api));
    }
    text
}

fn connect(adapter: &wgpu::Adapter, about: Adapter, edit: &dyn Fn(&str, String) -> String) -> Result<Gpu, Error> {
    let offered = adapter.limits();
    let limits = Limits {
        max_storage_buffers_per_shader_stage: offered.max_storage_buffers_per_shader_stage.min(64),
        ..offered
    };
    let optional = Features::TIMESTAMP_QUERY & adapter.features();
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("bayplan"),
        required_features: Features::SHADER_INT64 | optional,
        required_limits: limits.clone(),
        ..Default::default()
    };
    let (device, queue) =
        pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| Error::Failed(error.to_string()))?;
    let troubles = Arc::new(Troubles::default());
    let (uncaptured, lost) = (Arc::clone(&troubles), Arc::clone(&troubles));
    device.on_uncaptured_error(Arc::new(move |error| uncaptured.note(error.to_string())));
    device.set_device_lost_callback(move |reason, text| lost.note(format!("lost ({reason:?}) {text}")));
    let layout = bind_group_layout(&device);
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("kernels"),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let mut modules: Vec<(&str, wgpu::ShaderModule)> = Vec::new();
    let mut pipelines = Vec::new();
    for kernel in KERNELS {
        if !modules.iter().any(|(file, _)| *file == kernel.file) {
            let text = edit(kernel.file, source(kernel.file));
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.file),
                source: wgpu::ShaderSource::Wgsl(text.into()),
            });
            modules.push((kernel.file, module));
        }
        let module = &modules.iter().find(|(file, _)| *file == kernel.file).expect("just made").1;
        pipelines.push(device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: Some(&pipeline_layout),
            module,
            entry_point: Some(kernel.name),
            compilation_options: Default::default(),
            cache: None,
        }));
    }
    troubles.check()?;
    let stride = u64::from(limits.min_uniform_buffer_offset_alignment).max(4);
    let params_stride = (size_of::<crate::kernel::layout::Params>() as u64).next_multiple_of(stride);
    let groups_max = limits.max_compute_workgroups_per_dimension.max(1);
    debug_assert!(QUIET_MAX.as_secs() > 0);
    Ok(Gpu { about, device, queue, layout, pipelines, groups_max, params_stride, troubles })
}

/// One layout for all kernels: params, two read-only buffers, six that are written.
fn bind_group_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let entry = |binding: u32, ty: wgpu::BufferBindingType, has_dynamic_offset: bool| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    };
    let storage = |read_only: bool| wgpu::BufferBindingType::Storage { read_only };
    let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
    entries.extend((1..=STORAGE_BUFFERS).map(|binding| entry(binding, storage(binding <= 2), false)));
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some("kernels"), entries: &entries })
}
