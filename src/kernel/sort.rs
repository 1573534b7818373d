//! In which order do values come when sorted by key? Stable: equal keys keep the order of the values.
//!
//! ```text
//! Shape   keys, values, out [count]; first [key_count + 1]: where each key's values begin
//! Range   key < key_count
//! Ties    by position: there is exactly one stable order, so any way of sorting agrees
//! Source  counting sort here; least significant digit first on the device (Knuth, TAOCP 3, 5.2.5)
//! ```

/// Sorts `values` by `keys` into `out`; `first` gets the offsets of the keys.
pub fn sort(keys: &[u32], values: &[u32], key_count: usize, first: &mut Vec<u32>, out: &mut Vec<u32>) {
    first.clear();
    first.resize(key_count + 1, 0);
    for key in keys {
        first[*key as usize + 1] += 1;
    }
    for key in 0..key_count {
        first[key + 1] += first[key];
    }
    out.clear();
    out.resize(values.len(), 0);
    for (key, value) in keys.iter().zip(values) {
        let slot = &mut first[*key as usize];
        out[*slot as usize] = *value;
        *slot += 1;
    }
    // Every offset has moved on to the next one.
    first.rotate_right(1);
    first[0] = 0;
}

#[cfg(test)]
mod tests {
    #[test]
    fn stable_with_offsets() {
        let (mut first, mut out) = (vec![], vec![]);
        super::sort(&[2, 0, 2, 3, 0], &[10, 11, 12, 13, 14], 5, &mut first, &mut out);
        assert_eq!((out, first), (vec![11, 14, 10, 12, 13], vec![0, 2, 2, 4, 5, 5]));
    }
}
