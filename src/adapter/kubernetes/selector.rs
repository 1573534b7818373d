//! Which pods, which nodes does a selector mean? Label selectors and node selectors, matched as Kubernetes does.

use super::pod::{Face, Filter};
use super::records::{self, *};
use std::collections::HashMap;

/// Conditions on labels, all of which must hold; `None` means nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector(Option<Vec<Requirement>>);

impl Selector {
    pub fn new(selector: Option<LabelSelector>) -> Selector {
        Selector(selector.map(|LabelSelector { match_labels, match_expressions }| {
            let equal = |(key, value)| Requirement { key, operator: "In".to_string(), values: vec![value] };
            let mut all: Vec<Requirement> = match_labels.into_iter().map(equal).chain(match_expressions).collect();
            all.sort();
            all
        }))
    }

    /// Adds for each of these keys that the pod has: the same value (`In`), or another one (`NotIn`).
    pub fn require_own(&mut self, keys: &[String], labels: &Texts, operator: &str) {
        let Some(all) = &mut self.0 else { return };
        let own = |key: &String| {
            let values = vec![labels.get(key)?.clone()];
            Some(Requirement { key: key.clone(), operator: operator.to_string(), values })
        };
        all.extend(keys.iter().filter_map(own));
        all.sort();
    }

    pub fn matches(&self, labels: &Texts) -> bool {
        self.0
            .as_ref()
            .is_some_and(|all| all.iter().all(|requirement| holds(requirement, labels.get(&requirement.key))))
    }
}

/// Operators that are not known hold nowhere: what they mean cannot be widened by mistake.
fn holds(requirement: &Requirement, value: Option<&String>) -> bool {
    let number = |text: &String| text.parse::<i64>().ok();
    let compare = |is_right: fn(&i64, &i64) -> bool| {
        let limit = requirement.values.first().and_then(number);
        value.and_then(number).zip(limit).is_some_and(|(value, limit)| is_right(&value, &limit))
    };
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|value| requirement.values.contains(value)),
        "NotIn" => value.is_none_or(|value| !requirement.values.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(i64::gt),
        "Lt" => compare(i64::lt),
        _ => false,
    }
}

/// The label of every namespace that has its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Namespaces that a term of pod affinity looks into.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scope {
    names: Vec<String>,
    selector: Selector,
}

/// A required term of pod affinity or anti-affinity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodTerm {
    pub key: String,
    scope: Scope,
    selector: Selector,
}

impl PodTerm {
    pub fn new(term: records::PodTerm, pod: &Metadata) -> PodTerm {
        let mut names = term.namespaces;
        if names.is_empty() && term.namespace_selector.is_none() {
            names.push(pod.namespace.clone());
        }
        names.sort();
        let mut selector = Selector::new(term.label_selector);
        selector.require_own(&term.match_label_keys, &pod.labels, "In");
        selector.require_own(&term.mismatch_label_keys, &pod.labels, "NotIn");
        PodTerm {
            key: term.topology_key,
            scope: Scope { names, selector: Selector::new(term.namespace_selector) },
            selector,
        }
    }

    /// False when whether it means pods with this face depends on labels of their namespace that nobody has told.
    pub fn is_known(&self, face: &Face, namespaces: &HashMap<String, Texts>) -> bool {
        let asks_for_more = |all: &Vec<Requirement>| all.iter().any(|requirement| requirement.key != NAMESPACE_NAME);
        // Hardly any term asks, and there may be many faces.
        !self.scope.selector.0.as_ref().is_some_and(asks_for_more)
            || namespaces.contains_key(&face.namespace)
            || self.scope.names.contains(&face.namespace)
            || !self.selector.matches(&face.labels)
    }

    /// Whether it means pods with this face; `namespaces` has the labels of each namespace.
    pub fn matches(&self, face: &Face, namespaces: &HashMap<String, Texts>) -> bool {
        self.selector.matches(&face.labels) && self.covers(&face.namespace, namespaces)
    }

    fn covers(&self, namespace: &String, namespaces: &HashMap<String, Texts>) -> bool {
        self.scope.names.contains(namespace)
            || match namespaces.get(namespace) {
                Some(labels) => self.scope.selector.matches(labels),
                // Every namespace has its name as a label, whether or not its object is among the documents.
                None => self.scope.selector.matches(&Texts::from([(NAMESPACE_NAME.to_string(), namespace.clone())])),
            }
    }
}

impl Filter {
    /// Whether a node with this name and these labels passes.
    pub fn passes(&self, name: &str, labels: &Texts) -> bool {
        self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.affinity.as_ref().is_none_or(|affinity| affinity.passes(name, labels))
    }
}

impl NodeSelector {
    /// Any of the terms; a term without conditions means no node.
    pub fn passes(&self, name: &str, labels: &Texts) -> bool {
        let name = name.to_string();
        let field = |requirement: &Requirement| {
            holds(requirement, (requirement.key == "metadata.name").then_some(&name))
                && requirement.key == "metadata.name"
        };
        self.node_selector_terms.iter().any(|term| {
            let NodeTerm { match_expressions, match_fields } = term;
            !(match_expressions.is_empty() && match_fields.is_empty())
                && match_expressions.iter().all(|requirement| holds(requirement, labels.get(&requirement.key)))
                && match_fields.iter().all(field)
        })
    }

    /// The same as accepted values by label, where that says it all: one term of `In` on different labels.
    pub fn values(&self) -> Option<Vec<(&String, &Vec<String>)>> {
        let [NodeTerm { match_expressions, match_fields }] = self.node_selector_terms.as_slice() else { return None };
        let mut keys: Vec<&String> = match_expressions.iter().map(|requirement| &requirement.key).collect();
        keys.sort();
        let is_plain = match_fields.is_empty()
            && !match_expressions.is_empty()
            && match_expressions.iter().all(|requirement| requirement.operator == "In")
            && keys.windows(2).all(|pair| pair[0] != pair[1]);
        is_plain.then(|| match_expressions.iter().map(|requirement| (&requirement.key, &requirement.values)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(list: &[(&str, &str)]) -> Texts {
        list.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn label_selectors_mean_what_kubernetes_means() {
        let gold = labels(&[("tier", "gold"), ("rank", "7")]);
        let cases = [
            (json!({}), true),
            (json!({"matchLabels": {"tier": "gold"}}), true),
            (json!({"matchLabels": {"tier": "gold", "zone": "a"}}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "gold"]}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}), false),
            (json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "Resembles", "values": ["gold"]}]}), false),
        ];
        for (selector, expected) in cases {
            let read: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(Selector::new(Some(read)).matches(&gold), expected, "{selector}");
        }
        assert!(!Selector::new(None).matches(&gold));
    }

    #[test]
    fn node_selectors_are_ors_of_ands() {
        let node = labels(&[("disk", "ssd"), ("cores", "16")]);
        let passes = |terms: serde_json::Value| {
            let selector: NodeSelector = serde_json::from_value(json!({"nodeSelectorTerms": terms})).unwrap();
            selector.passes("n1", &node)
        };
        let more_than = |cores: &str| json!({"key": "cores", "operator": "Gt", "values": [cores]});
        assert!(passes(json!([{"matchExpressions": [more_than("8")]}])));
        assert!(!passes(json!([{"matchExpressions": [more_than("16")]}])));
        assert!(passes(json!([{"matchExpressions": [more_than("16")]}, {"matchExpressions": [more_than("8")]}])));
        assert!(passes(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}])));
        assert!(!passes(json!([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]}])));
        assert!(!passes(json!([{}])) && !passes(json!([])));
    }
}
