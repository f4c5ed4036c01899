//! Seats that take one each, and people who fit some of them: how many can sit, and who is wanted for the rest.

use std::collections::BTreeSet;

/// As many seats taken as can be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seated {
    /// How many are.
    pub(crate) taken: usize,
    /// The others, in sets: so many more people are wanted, each of whom fits one of these seats.
    pub(crate) open: Vec<(usize, BTreeSet<usize>)>,
}

/// Seats `people`, each once at most; `fitting` has for each seat those who fit it.
pub(crate) fn seated(fitting: &[BTreeSet<usize>], people: usize) -> Seated {
    let mut sits: Vec<Option<usize>> = vec![None; people];
    let empty: Vec<usize> =
        (0..fitting.len()).filter(|seat| !take(*seat, fitting, &mut sits, &mut BTreeSet::new())).collect();
    let taken = fitting.len() - empty.len();
    let mut open: Vec<(usize, BTreeSet<usize>)> = Vec::new();
    for seat in empty {
        // Whoever fits an empty seat sits elsewhere, and could move to it: so one who fits their seat helps as well.
        let mut more = 1;
        let mut seats = BTreeSet::from([seat]);
        let mut look = vec![seat];
        while let Some(seat) = look.pop() {
            let freed = fitting[seat].iter().filter_map(|person| sits[*person]);
            look.extend(freed.filter(|freed| seats.insert(*freed)));
        }
        open.retain(|(others, theirs)| {
            let apart = theirs.is_disjoint(&seats);
            if !apart {
                more += others;
                seats.extend(theirs);
            }
            apart
        });
        open.push((more, seats));
    }
    Seated { taken, open }
}

/// Gives a seat to somebody who fits it, others moving on for it where they can; `asked` were asked already.
fn take(
    seat: usize,
    fitting: &[BTreeSet<usize>],
    sits: &mut [Option<usize>],
    asked: &mut BTreeSet<usize>,
) -> bool {
    for person in &fitting[seat] {
        if !asked.insert(*person) {
            continue;
        }
        let free = match sits[*person] {
            None => true,
            Some(other) => take(other, fitting, sits, asked),
        };
        if free {
            sits[*person] = Some(seat);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The most seats that can be taken, by trying everything.
    fn most(fitting: &[BTreeSet<usize>], free: &BTreeSet<usize>) -> usize {
        let Some((seat, rest)) = fitting.split_first() else { return 0 };
        let mut best = most(rest, free);
        for person in seat.intersection(free) {
            let mut others = free.clone();
            others.remove(person);
            best = best.max(1 + most(rest, &others));
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nobody_could_seat_more_and_whoever_is_wanted_helps(
            fitting in prop::collection::vec(prop::collection::btree_set(0usize..5, 0..4), 0..6),
        ) {
            let all: BTreeSet<usize> = (0..5).collect();
            let Seated { taken, open } = seated(&fitting, 5);
            prop_assert_eq!(taken, most(&fitting, &all));
            prop_assert_eq!(taken + open.iter().map(|(more, _)| more).sum::<usize>(), fitting.len());
            // A newcomer helps exactly where they fit a seat of these.
            let mut helps = all.clone();
            helps.insert(5);
            for seat in 0..fitting.len() {
                let mut more = fitting.clone();
                more[seat].insert(5);
                let wanted = open.iter().any(|(_, seats)| seats.contains(&seat));
                prop_assert_eq!(most(&more, &helps) > taken, wanted, "seat {} of {:?}", seat, &open);
            }
        }
    }
}
