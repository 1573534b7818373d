//! How do other people's files become snapshots, and plans their answers? One foreign format per file, bytes in and out.
//!
//! What a format says and a snapshot cannot hold, or the other way round, is counted in [`notes::Notes`] and told: nothing is
//! dropped silently.
//!
//! Every importer checks what it reads and reports all faults at once (codes I1xx form, I2xx figures, I3xx references);
//! what the names mean is then checked by [`crate::model::Problem::new`] as for any snapshot.

mod csv_table;
pub mod kubernetes;
pub mod nomad;
pub mod notes;
pub mod openb;
pub mod openstack;
pub mod proxmox;
mod record;
pub mod roadef;
mod shell;
pub mod slurm;
pub mod table;
