//! Buffers on the device, what goes wrong with them, and reading them back.

use super::{Error, Gpu};
use crate::kernel::layout::{Image, Params};
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;
use wgpu::BufferUsages;

/// Longest wait for an answer: far beyond any batch, which the engine keeps near a tenth of a second.
pub(super) const QUIET_MAX: Duration = Duration::from_secs(60);

/// What the driver reported outside of calls; the first trouble counts, the others follow from it.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<Option<String>>);

impl Troubles {
    pub(super) fn note(&self, text: String) {
        let mut first = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        first.get_or_insert(text.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let first = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        first.clone().map_or(Ok(()), |text| Err(Error::Failed(text)))
    }
}

impl Gpu {
    /// Can every buffer of a problem be bound?
    ///
    /// # Errors
    /// [`Error::Unusable`] names the largest and what the adapter allows.
    pub fn check_room(&self, image: &Image) -> Result<(), Error> {
        let (bytes, name) = image.largest();
        let most = self.about.binding_bytes_max;
        if bytes <= most && image.is_addressable() {
            return Ok(());
        }
        let (needs, allows) = (bytes.div_ceil(1 << 20), most >> 20);
        let what = &self.about.name;
        Err(Error::Unusable(format!(
            "the problem needs a buffer of {needs} MiB ({name}), {what} allows {allows} MiB; --backend cpu makes the same plan"
        )))
    }

    /// Workgroups of a dispatch as x × y, neither beyond the device's limit.
    pub(super) fn split(&self, groups: u32) -> (u32, u32) {
        split(groups, self.groups_max)
    }

    /// A storage buffer, zeroed. Empty ones get a few bytes, since bindings may not be empty.
    pub(super) fn buffer(&self, label: &str, bytes: u64, usage: BufferUsages) -> Result<wgpu::Buffer, Error> {
        let size = bytes.max(16).next_multiple_of(8);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        });
        self.troubles.check()?;
        Ok(buffer)
    }

    /// A buffer for the kernels.
    pub(super) fn storage(&self, label: &str, bytes: u64) -> Result<wgpu::Buffer, Error> {
        self.buffer(label, bytes, BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC)
    }

    /// A buffer that can be read here.
    pub(super) fn landing(&self, label: &str, bytes: u64) -> Result<wgpu::Buffer, Error> {
        self.buffer(label, bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST)
    }

    pub(super) fn upload(&self, buffer: &wgpu::Buffer, at_byte: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.queue.write_buffer(buffer, at_byte, bytes);
        }
    }

    /// Waits for all that was submitted.
    pub(super) fn wait(&self) -> Result<(), Error> {
        let waited = self.device.poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(QUIET_MAX) });
        self.troubles.check()?;
        match waited {
            Ok(_) => Ok(()),
            Err(wgpu::PollError::Timeout) => Err(Error::Silent(QUIET_MAX.as_secs())),
            Err(error) => Err(Error::Failed(error.to_string())),
        }
    }

    /// The bytes of a landing buffer, when all that was submitted is done.
    pub(super) fn land(&self, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>, Error> {
        let (sender, receiver) = mpsc::channel();
        let size = bytes.max(16).next_multiple_of(8);
        buffer.map_async(wgpu::MapMode::Read, 0..size, move |mapped| {
            // Nobody waits any more when the device has failed meanwhile.
            let _ = sender.send(mapped);
        });
        self.wait()?;
        let failed = |text: &str| Error::Failed(format!("reading back: {text}"));
        receiver.recv().map_err(|_| failed("no answer"))?.map_err(|error| failed(&error.to_string()))?;
        let data =
            buffer.get_mapped_range(0..size).map_err(|error| failed(&error.to_string()))?[..bytes as usize].to_vec();
        buffer.unmap();
        Ok(data)
    }
}

/// One bind group for all kernels: settings, then the eight storage buffers in the order of their bindings.
pub(super) fn bind(gpu: &Gpu, settings: &wgpu::Buffer, buffers: &[&wgpu::Buffer]) -> wgpu::BindGroup {
    let size = wgpu::BufferSize::new(size_of::<Params>() as u64);
    let params = wgpu::BufferBinding { buffer: settings, offset: 0, size };
    let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(params) }];
    entries.extend(
        (1..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() }),
    );
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &gpu.layout, entries: &entries })
}

/// Workgroups as x × y with neither beyond the limit; the shaders skip what is too many.
fn split(groups: u32, most: u32) -> (u32, u32) {
    let y = groups.div_ceil(most);
    (groups.div_ceil(y.max(1)), y)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn dispatches_are_split_where_a_dimension_ends() {
        for (groups, most) in [(1, 65_535), (65_535, 65_535), (65_536, 65_535), (1_000_003, 65_535), (7, 3), (9, 3)] {
            let (x, y) = split(groups, most);
            assert!(x <= most && y <= most && x * y >= groups && x * y < groups + y, "{groups} as {x} × {y}");
        }
        assert_eq!(split(5, 65_535), (5, 1));
    }
}
