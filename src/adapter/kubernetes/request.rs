//! How much does a pod need? Its effective request, as the scheduler works it out.
//!
//! Containers and sidecars (init containers that restart) run together; before them each init container runs beside the
//! sidecars started so far. What the pod itself requests takes the place of that sum. Overhead comes on top.

use super::quantity::{NANO, Quantity};
use super::records::*;
use std::collections::BTreeMap;

type Nanos = BTreeMap<String, i128>;
/// Where a quantity stands that cannot be read, and what it says.
pub type Unreadable = (String, Quantity);

/// Billionths by resource; a slot of the node's `pods` included.
pub fn effective(spec: &PodSpec, status: &PodStatus) -> Result<Nanos, Unreadable> {
    let mut running = Nanos::new();
    // What was wished cannot be had on this node: what runs is what was granted.
    let is_refused = |condition: &Condition| condition.kind == "PodResizePending" && condition.reason == "Infeasible";
    let is_refused = status.conditions.iter().any(is_refused);
    for container in &spec.containers {
        add(&mut running, &container_request(container, &status.container_statuses, is_refused)?);
    }
    let (mut sidecars, mut peak) = (Nanos::new(), Nanos::new());
    for container in &spec.init_containers {
        let request = container_request(container, &status.init_container_statuses, is_refused)?;
        if container.restart_policy == "Always" {
            add(&mut running, &request);
            add(&mut sidecars, &request);
            raise(&mut peak, &sidecars);
        } else {
            let mut moment = sidecars.clone();
            add(&mut moment, &request);
            raise(&mut peak, &moment);
        }
    }
    raise(&mut running, &peak);
    let mut own = requested(&spec.resources, "spec.resources")?;
    if !own.is_empty() {
        let granted = granted(&status.allocated_resources, &status.resources, "status.resources")?;
        settle(&mut own, granted, is_refused);
    }
    for (name, nanos) in own {
        if matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-") {
            running.insert(name, nanos);
        }
    }
    add(&mut running, &read(&spec.overhead, "spec.overhead")?);
    running.insert("pods".to_string(), NANO);
    Ok(running)
}

/// What the container asks for, or what it was granted if that is more (a resize that is not through yet).
fn container_request(
    container: &Container,
    statuses: &[ContainerStatus],
    is_refused: bool,
) -> Result<Nanos, Unreadable> {
    let place = format!("container {}", container.name);
    let mut request = requested(&container.resources, &place)?;
    if let Some(status) = statuses.iter().find(|status| status.name == container.name) {
        settle(&mut request, granted(&status.allocated_resources, &status.resources, &place)?, is_refused);
    }
    Ok(request)
}

/// What was granted, by both accounts of it.
fn granted(allocated: &Quantities, actual: &Resources, place: &str) -> Result<Nanos, Unreadable> {
    let mut granted = read(allocated, place)?;
    raise(&mut granted, &read(&actual.requests, place)?);
    Ok(granted)
}

/// The larger of wish and grant; where the wish was refused, the grant as far as there is one.
fn settle(wish: &mut Nanos, granted: Nanos, is_refused: bool) {
    if is_refused { wish.extend(granted) } else { raise(wish, &granted) }
}

/// Requests; where one is missing, the limit is the request.
fn requested(resources: &Resources, place: &str) -> Result<Nanos, Unreadable> {
    let mut request = read(&resources.limits, place)?;
    request.extend(read(&resources.requests, place)?);
    Ok(request)
}

fn read(quantities: &Quantities, place: &str) -> Result<Nanos, Unreadable> {
    let nanos = |(name, quantity): (&String, &Quantity)| match quantity.nanos() {
        Some(nanos) => Ok((name.clone(), nanos)),
        None => Err((format!("{place}, {name}"), quantity.clone())),
    };
    quantities.iter().map(nanos).collect()
}

fn add(sum: &mut Nanos, more: &Nanos) {
    for (name, nanos) in more {
        *sum.entry(name.clone()).or_default() += nanos;
    }
}

fn raise(most: &mut Nanos, other: &Nanos) {
    for (name, nanos) in other {
        let known = most.entry(name.clone()).or_default();
        *known = (*known).max(*nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn request(pod: Value) -> BTreeMap<String, i128> {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let mut nanos = effective(&pod.spec, &pod.status).unwrap();
        assert_eq!(nanos.remove("pods"), Some(NANO));
        nanos.into_iter().map(|(name, nanos)| (name, nanos / (NANO / 1000))).collect()
    }

    fn container(cpu: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"cpu": cpu}}})
    }

    fn sidecar(cpu: &str) -> Value {
        json!({"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}})
    }

    fn cpu(pod: Value) -> i128 {
        request(pod)["cpu"]
    }

    #[test]
    fn containers_add_up_and_init_containers_take_turns() {
        let pod = |init: Value| json!({"spec": {"containers": [container("300m"), container("200m")], "initContainers": init}});
        assert_eq!(cpu(pod(json!([]))), 500);
        assert_eq!(cpu(pod(json!([container("400m"), container("400m")]))), 500);
        assert_eq!(cpu(pod(json!([container("900m"), container("400m")]))), 900);
        // A sidecar runs beside the containers, and beside the init containers after it only.
        assert_eq!(cpu(pod(json!([sidecar("100m")]))), 600);
        assert_eq!(cpu(pod(json!([container("900m"), sidecar("100m")]))), 900);
        assert_eq!(cpu(pod(json!([sidecar("100m"), container("900m")]))), 1000);
    }

    #[test]
    fn the_pod_itself_and_overhead_count() {
        let spec = json!({
            "containers": [{"name": "c", "resources": {"requests": {"cpu": "1", "nvidia.com/gpu": "2"}, "limits": {"memory": "1k"}}}],
            "resources": {"requests": {"cpu": "3", "nvidia.com/gpu": "9"}}, "overhead": {"cpu": "250m"}
        });
        let request = request(json!({"spec": spec}));
        assert_eq!(
            request,
            [("cpu", 3250), ("memory", 1_000_000), ("nvidia.com/gpu", 2000)].map(|(n, a)| (n.to_string(), a)).into()
        );
    }

    #[test]
    fn a_resize_under_way_counts_with_the_larger_figure() {
        let status = json!({"containerStatuses": [{"name": "c", "allocatedResources": {"cpu": "2"}}]});
        assert_eq!(cpu(json!({"spec": {"containers": [container("1")]}, "status": status})), 2000);
        assert_eq!(cpu(json!({"spec": {"containers": [container("4")]}, "status": status})), 4000);
    }

    #[test]
    fn a_resize_that_was_refused_counts_with_what_was_granted() {
        let status = |reason: &str| {
            json!({"containerStatuses": [{"name": "c", "allocatedResources": {"cpu": "1"}}],
                "conditions": [{"type": "PodResizePending", "status": "True", "reason": reason}]})
        };
        let pod = |reason: &str| json!({"spec": {"containers": [container("100")]}, "status": status(reason)});
        assert_eq!((cpu(pod("Infeasible")), cpu(pod("Deferred"))), (1000, 100_000));
    }

    #[test]
    fn a_resize_of_the_pod_itself_counts() {
        let spec = json!({"containers": [container("100m")], "resources": {"requests": {"cpu": "1"}}});
        let status = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}, "allocatedResources": {"cpu": "2"}});
        assert_eq!(cpu(json!({"spec": spec, "status": status("3")})), 3000);
        assert_eq!(cpu(json!({"spec": spec, "status": status("500m")})), 2000);
        let spec = json!({"containers": [container("100m")]});
        assert_eq!(cpu(json!({"spec": spec, "status": status("3")})), 100, "only where the pod asks for itself");
    }

    #[test]
    fn a_quantity_that_cannot_be_read_is_named() {
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [container("one")]}})).unwrap();
        assert_eq!(effective(&pod.spec, &pod.status).unwrap_err(), ("container c, cpu".into(), Quantity("one".into())));
    }
}
