//! What is done to whole rows of a node or task, one lane per resource? On its own, since within a large function the compiler takes
//! such rows apart.

/// Defines functions over rows twice: as written, and compiled for wider vectors, which are chosen where the processor has them.
/// Integers only, so the results are the same.
macro_rules! wide {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty $body:block)*) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name<const L: usize>($($arg: $type),*) -> $result {
            #[inline(always)]
            fn plain<const L: usize>($($arg: $type),*) -> $result $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            #[inline(never)]
            fn wide<const L: usize>($($arg: $type),*) -> $result {
                plain::<L>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has the feature, as just asked.
                return unsafe { wide::<L>($($arg),*) };
            }
            plain::<L>($($arg),*)
        })*
    };
}

wide! {
    /// What is above the limits, weighted.
    fn above(used: &[i32; L], limit: &[i32; L], weight: &[i64; L]) -> i64 {
        let mut points = 0;
        for r in 0..L {
            points += i64::from((used[r] - limit[r]).max(0)) * weight[r];
        }
        points
    }

    /// The same of two nodes together.
    fn above_both(one: &[i32; L], limit: &[i32; L], two: &[i32; L], other: &[i32; L], weight: &[i64; L]) -> i64 {
        let mut points = 0;
        for r in 0..L {
            points += (i64::from((one[r] - limit[r]).max(0)) + i64::from((two[r] - other[r]).max(0))) * weight[r];
        }
        points
    }

    /// What two nodes would use after an exchange.
    fn exchange(one: &[i32; L], two: &[i32; L], comes: &[i32; L], goes: &[i32; L]) -> [[i32; L]; 2] {
        let mut after = [[0; L]; 2];
        for r in 0..L {
            after[0][r] = one[r] + (comes[r] - goes[r]);
        }
        for r in 0..L {
            after[1][r] = two[r] - (comes[r] - goes[r]);
        }
        after
    }
}

/// Have two nodes room for an exchange? Asked of every candidate, so that a call would cost more than the compiler makes of it in place.
#[inline(always)]
pub fn have_room<const L: usize>(
    free_from: &[i32; L],
    goes: &[i32; L],
    comes: &[i32; L],
    free_to: &[i32; L],
    leaves: &[i32; L],
    arrives: &[i32; L],
) -> bool {
    let mut room = 0;
    for r in 0..L {
        room |= (free_from[r] + goes[r] - comes[r]) | (free_to[r] + leaves[r] - arrives[r]);
    }
    room >= 0
}
