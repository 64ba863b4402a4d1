//! Timelines as they are drawn, and what every drawing keeps.
//!
//! `UPDATE_EXPECT=1 cargo test -p nbuffer-core --test timeline` rewrites the pictures. Look at them.

use std::collections::HashSet;
use std::ops::Range;

use expect_test::{Expect, expect};
use nbuffer_core::measure::{Nanos, Stage};
use nbuffer_core::schedule::Sequence;
use nbuffer_core::trace::layout::{Layout, Room};
use nbuffer_core::trace::{Span, Style, Timeline, Unit, steady_state};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use Stage::{Kernel, Postprocess, Preprocess, Read, Write};

fn check(drawn: &Timeline<'_>, expected: Expect) {
    expected.assert_eq(&drawn.to_string().replace('\x1b', "ESC"));
}

/// What a unit did in one stage: the number of each item, and when it began and ended.
type Work<'a> = (Unit, Stage, &'a [(Sequence, Nanos, Nanos)]);

/// Spans from work whose times are in `tick`s.
fn spans(tick: Nanos, work: &[Work<'_>]) -> Vec<Span> {
    let mut spans = Vec::new();
    for (unit, stage, items) in work {
        spans.extend(items.iter().map(|(sequence, start, end)| Span {
            unit: *unit,
            stage: *stage,
            lane: 0,
            sequence: *sequence,
            start: start * tick,
            end: end * tick,
        }));
    }
    spans
}

/// Items one after the other through stages that each have a server of their own, over `depth` buffer sets.
fn pipeline(items: Sequence, depth: usize, times: [Nanos; 5]) -> Vec<Span> {
    let units = [Unit::Host(0), Unit::LinkIn(0), Unit::Kernel(0), Unit::LinkOut(0), Unit::Host(1)];
    let mut spans: Vec<Span> = Vec::new();
    let mut free = [0; 5];
    let mut done = Vec::new();
    for sequence in 0..items {
        let mut now = (sequence as usize).checked_sub(depth).map_or(0, |before| done[before]);
        for stage in Stage::ALL {
            let start = now.max(free[stage as usize]);
            now = start + times[stage as usize];
            free[stage as usize] = now;
            spans.push(Span { unit: units[stage as usize], stage, lane: 0, sequence, start, end: now });
        }
        done.push(now);
    }
    spans
}

#[test]
fn nothing() {
    check(
        &Timeline::new(&[]),
        expect![[r#"
        no spans
    "#]],
    );
}

#[test]
fn one_item_goes_from_row_to_row() {
    let spans = spans(
        1_000,
        &[
            (Unit::Host(0), Preprocess, &[(0, 0, 20)]),
            (Unit::LinkIn(0), Write, &[(0, 20, 30)]),
            (Unit::Kernel(0), Kernel, &[(0, 30, 60)]),
            (Unit::LinkOut(0), Read, &[(0, 60, 65)]),
            (Unit::Host(0), Postprocess, &[(0, 65, 75)]),
            (Unit::Delivery, Postprocess, &[(0, 75, 75)]),
        ],
    );
    check(
        &Timeline::new(&spans),
        expect![[r#"
        host      ├────────0────────┤··········································╞═══0═══╡
        link in   ···················├───0───┤··········································
        kernel    ····························┣━━━━━━━━━━━━0━━━━━━━━━━━━━┫··············
        link out  ························································╞═0═╡·········
        delivery  ·····································································0
                  ┬────────┬────────┬─────────┬────────┬────────┬─────────┬────────┬────
              µs  0        10       20        30       40       50        60       70
        ├─┤ preprocess   ╞═╡ postprocess
    "#]],
    );
    check(
        &Timeline::new(&spans).width(40).style(Style::Ascii),
        expect![[r#"
        host      (--0---)..................{0=}
        link in   ........(0-)..................
        kernel    ............[####0#####]......
        link out  ........................{0....
        delivery  .............................0
                  +-------+-------+-------+-----
              us  0       20      40      60
        (-) preprocess   {=} postprocess
    "#]],
    );
}

#[test]
fn double_buffering_hides_the_transfers() {
    let spans = spans(
        100_000,
        &[
            (Unit::LinkIn(0), Write, &[(0, 0, 10), (1, 10, 20), (2, 40, 50), (3, 60, 70), (4, 80, 90)]),
            (Unit::Kernel(0), Kernel, &[(0, 10, 30), (1, 30, 50), (2, 50, 70), (3, 70, 90), (4, 90, 110)]),
            (Unit::LinkOut(0), Read, &[(0, 30, 40), (1, 50, 60), (2, 70, 80), (3, 90, 100), (4, 110, 120)]),
        ],
    );
    check(
        &Timeline::new(&spans).width(40),
        expect![[r#"
        link in   ├0┤├1·····├2┤··├3┤··├4┤·······
        kernel    ···┣━0━┫┣━1━┫┣━2━┫┣━3━┫┣━4━┫··
        link out  ········╞0···╞1···╞2···╞3···╞4
                  ┬────┬────┬────┬────┬────┬────
              ms  0    2    4    6    8    10
    "#]],
    );
    check(
        &Timeline::new(&spans).style(Style::Ascii),
        expect![[r#"
        link in   (-0--)(-1--)...........(-2--)......(-3--)......(-4--).................
        kernel    ......[####0#####][####1####][####2#####][####3#####][####4####]......
        link out  ..................{=0=}......{=1==}......{=2==}......{=3=}......{=4==}
                  +----+-----+-----+-----+-----+-----+----+-----+-----+-----+-----+-----
              ms  0    1     2     3     4     5     6    7     8     9     10    11
    "#]],
    );
}

#[test]
fn three_sets_with_two_host_threads() {
    let spans = spans(
        50_000,
        &[
            (Unit::Host(0), Preprocess, &[(0, 0, 3), (2, 3, 6), (3, 15, 18), (5, 25, 28)]),
            (Unit::Host(0), Postprocess, &[(0, 12, 15), (2, 22, 25), (5, 37, 40)]),
            (Unit::Host(1), Preprocess, &[(1, 0, 3), (4, 20, 23)]),
            (Unit::Host(1), Postprocess, &[(1, 17, 20), (3, 27, 30), (4, 32, 35)]),
            (
                Unit::LinkIn(0),
                Write,
                &[(0, 3, 5), (1, 5, 7), (2, 7, 9), (3, 18, 20), (4, 23, 25), (5, 28, 30)],
            ),
            (
                Unit::Kernel(0),
                Kernel,
                &[(0, 5, 10), (1, 10, 15), (2, 15, 20), (3, 20, 25), (4, 25, 30), (5, 30, 35)],
            ),
            (
                Unit::LinkOut(0),
                Read,
                &[(0, 10, 12), (1, 15, 17), (2, 20, 22), (3, 25, 27), (4, 30, 32), (5, 35, 37)],
            ),
        ],
    );
    check(
        &Timeline::new(&spans),
        expect![[r#"
            host 0    ├─0─┤├─2──┤··········╞═0═╡├─3──┤·······╞═2═╡├─5─┤················╞═5═╡
            host 1    ├─1─┤·························╞═1═╡├─4─┤·······╞═3══╡···╞═4═╡·········
            link in   ·····├0─┤├1┤├2─┤················├3┤·····├4─┤·····├5─┤·················
            kernel    ·········┣━━━0━━━┫┣━━1━━━┫┣━━━2━━━┫┣━━━3━━━┫┣━━━4━━━┫┣━━5━━━┫·········
            link out  ··················╞0╡·····╞1═╡·····╞2═╡·····╞3╡······╞4╡·····╞5═╡·····
                      ┬──────┬──────┬──────┬──────┬──────┬──────┬──────┬──────┬──────┬──────
                  ms  0.0    0.2    0.4    0.6    0.8    1.0    1.2    1.4    1.6    1.8
            ├─┤ preprocess   ╞═╡ postprocess
        "#]],
    );
    check(
        &Timeline::new(&spans).style(Style::Ascii),
        expect![[r#"
            host 0    (-0-)(-2--)..........{=0=}(-3--).......{=2=}(-5-)................{=5=}
            host 1    (-1-).........................{=1=}(-4-).......{=3==}...{=4=}.........
            link in   .....(0-)(1)(2-)................(3).....(4-).....(5-).................
            kernel    .........[###0###][##1###][###2###][###3###][###4###][##5###].........
            link out  ..................{0}.....{1=}.....{2=}.....{3}......{4}.....{5=}.....
                      +------+------+------+------+------+------+------+------+------+------
                  ms  0.0    0.2    0.4    0.6    0.8    1.0    1.2    1.4    1.6    1.8
            (-) preprocess   {=} postprocess
        "#]],
    );
    check(
        &Timeline::new(&spans).window(Some(900_000..1_400_000)),
        expect![[r#"
            host 0    ····························╞═════════2═════════╡├─────────5─────────┤
            host 1    ══════1══════╡├─────────4─────────┤····························╞══3═══
            link in   ├─────3──────┤·····················├─────4──────┤·····················
            kernel    ━━━━━━2━━━━━━┫┣━━━━━━━━━━━━━━━━3━━━━━━━━━━━━━━━━┫┣━━━━━━━━━4━━━━━━━━━━
            link out  ··············╞═════2══════╡·····················╞═════3══════╡·······
                      ┬──────┬──────┬──────┬──────┬──────┬──────┬──────┬──────┬──────┬──────
                  µs  900    950    1000   1050   1100   1150   1200   1250   1300   1350
            ├─┤ preprocess   ╞═╡ postprocess
        "#]],
    );
    check(
        &Timeline::new(&spans).width(200),
        expect![[r#"
            host 0    ├─────0──────┤├──────2──────┤····························╞═════0══════╡├──────3──────┤···················╞═════2══════╡├─────5──────┤···········································╞═════5══════╡
            host 1    ├─────1──────┤···································································╞═════1══════╡├─────4──────┤···················╞══════3══════╡·········╞═════4══════╡························
            link in   ··············├───0────┤├───1───┤├───2────┤···········································├───3───┤··············├───4────┤··············├───5────┤···············································
            kernel    ························┣━━━━━━━━━━0━━━━━━━━━━━┫┣━━━━━━━━━━1━━━━━━━━━━┫┣━━━━━━━━━━2━━━━━━━━━━━┫┣━━━━━━━━━━3━━━━━━━━━━━┫┣━━━━━━━━━━4━━━━━━━━━━━┫┣━━━━━━━━━━5━━━━━━━━━━┫························
            link out  ················································╞═══0═══╡··············╞═══1════╡··············╞═══2════╡··············╞═══3═══╡···············╞═══4═══╡··············╞═══5════╡··············
                      ┬────────┬─────────┬────────┬─────────┬────────┬─────────┬────────┬─────────┬────────┬─────────┬────────┬─────────┬────────┬─────────┬────────┬─────────┬────────┬─────────┬────────┬─────────
                  ms  0.0      0.1       0.2      0.3       0.4      0.5       0.6      0.7       0.8      0.9       1.0      1.1       1.2      1.3       1.4      1.5       1.6      1.7       1.8      1.9
            ├─┤ preprocess   ╞═╡ postprocess
        "#]],
    );
}

#[test]
fn a_half_duplex_link_has_one_row() {
    let spans = spans(
        1_000_000,
        &[
            (Unit::Link(0), Write, &[(0, 0, 4), (1, 4, 8), (2, 17, 21), (3, 25, 29)]),
            (Unit::Link(0), Read, &[(0, 14, 17), (1, 22, 25), (2, 30, 33), (3, 39, 42)]),
            (Unit::Kernel(0), Kernel, &[(0, 4, 14), (1, 14, 22), (2, 22, 30), (3, 31, 39)]),
        ],
    );
    check(
        &Timeline::new(&spans),
        expect![[r#"
        link    ├──0──┤├──1──┤··········╞═0═╡├──2──┤··╞═1═╡├──3──┤·╞═2══╡··········╞═3═╡
        kernel  ·······┣━━━━━━━0━━━━━━━┫┣━━━━━1━━━━━━┫┣━━━━━2━━━━━┫··┣━━━━━3━━━━━━┫·····
                ┬───────┬────────┬───────┬────────┬───────┬────────┬────────┬───────┬───
            ms  0       5        10      15       20      25       30       35      40
        ├─┤ write   ╞═╡ read
    "#]],
    );
    check(
        &Timeline::new(&spans).width(40).style(Style::Ascii),
        expect![[r#"
        link    (0)(1).....{0(2).{1(3).{2.....{3
        kernel  ...[##0###][#1##][#2##].[#3##]..
                +------+-------+------+-------+-
            ms  0      10      20     30      40
        (-) write   {=} read
    "#]],
    );
}

#[test]
fn three_lanes_side_by_side() {
    let of_lane = |lane: usize| {
        let kernel = move |call: Nanos| {
            let (sequence, start) = (3 * call + lane as Nanos, 1_000 * (lane as Nanos + 3 * call));
            Span { unit: Unit::Kernel(lane), stage: Kernel, lane, sequence, start, end: start + 2_900 }
        };
        (0..4).map(kernel)
    };
    let spans: Vec<Span> = (0..3).flat_map(of_lane).collect();
    check(
        &Timeline::new(&spans),
        expect![[r#"
        kernel 0  ┣━━━━━━0━━━━━━┫┣━━━━━━3━━━━━━┫┣━━━━━━6━━━━━━┫┣━━━━━━9━━━━━━┫··········
        kernel 1  ·····┣━━━━━━1━━━━━━┫┣━━━━━━4━━━━━━┫┣━━━━━━7━━━━━━┫┣━━━━━10━━━━━━┫·····
        kernel 2  ··········┣━━━━━━2━━━━━━┫┣━━━━━━5━━━━━━┫┣━━━━━━8━━━━━━┫┣━━━━━11━━━━━━┫
                  ┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────
              µs  0    1    2    3    4    5    6    7    8    9    10   11   12   13
    "#]],
    );
}

#[test]
fn spans_of_a_unit_that_overlap_get_rows_of_their_own() {
    let spans = spans(
        1_000_000_000,
        &[(Unit::Link(0), Write, &[(2, 0, 4), (3, 6, 10)]), (Unit::Link(0), Read, &[(0, 0, 6), (1, 6, 12)])],
    );
    check(
        &Timeline::new(&spans).width(40),
        expect![[r#"
        link  ├────2────┤······├────3────┤······
              ╞═══════0═══════╡╞═══════1═══════╡
              ┬────┬─────┬─────┬────┬─────┬─────
           s  0    2     4     6    8     10
        ├─┤ write   ╞═╡ read
    "#]],
    );
}

#[test]
fn short_spans_are_seen_and_hide_nothing() {
    let spans = spans(
        10,
        &[
            (Unit::LinkIn(0), Write, &[(0, 0, 1), (1, 500, 501), (2, 502, 503), (10, 800, 801)]),
            (Unit::Kernel(0), Kernel, &[(0, 1, 500), (1, 501, 1000), (2, 1000, 1001)]),
        ],
    );
    check(
        &Timeline::new(&spans).width(60),
        expect![[r#"
        link in  0························▒··············│··········
        kernel   ┣━━━━━━━━━━━0━━━━━━━━━━━┫·┣━━━━━━━━━━1━━━━━━━━━━━┫┃
                 ┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬
             µs  0    1    2    3    4    5    6    7    8    9
        ▒ several items
    "#]],
    );
    check(
        &Timeline::new(&spans).width(20).style(Style::Ascii),
        expect![[r#"
            link in  0....*..-..
            kernel   [#0#].[1#]%
                     +----+----+
                 us  0    5
            * several items
        "#]],
    );
}

#[test]
fn a_long_run_is_cut_twice() {
    let spans = pipeline(500, 3, [150_000, 100_000, 250_000, 100_000, 150_000]);
    check(
        &Timeline::new(&spans),
        expect![[r#"
            host 0    ├0┤├1┤├2┤······ // 248··249··250··251··252··253··├─ // 499············
            host 1    ············╞0╡ // ··246··247··248··249··250··251·· // ··497··498··499
            link in   ···├0·├1·├2···· // ···├┤···├┤···├┤···├┤···├┤···├┤·· // ···├┤··········
            kernel    ·····┣━0━┫┣━1━┫ // ┣247┫┣248┫┣249┫┣250┫┣251┫┣252┫┣━ // ┣498┫┣499┫·····
            link out  ··········╞0··· // ╞╡···╞╡···╞╡···╞╡···╞╡···╞╡···╞╡ // ╞╡···╞╡···╞╡···
                      ┬─────────┬──── // ┬─────────┬─────────┬─────────┬─ // ─────┬─────────
                  ms  0.0       0.5   // 62.0      62.5      63.0         //      125.0
                      fill            // steady state                     // drain
            // 61.2 ms and 61.1 ms left out
        "#]],
    );
    check(
        &Timeline::new(&spans).style(Style::Ascii),
        expect![[r#"
            host 0    (0)(1)(2)...... // 248..249..250..251..252..253..(- // 499............
            host 1    ............{0} // ..246..247..248..249..250..251.. // ..497..498..499
            link in   ...(0.(1.(2.... // ...()...()...()...()...()...().. // ...()..........
            kernel    .....[#0#][#1#] // [247][248][249][250][251][252][# // [498][499].....
            link out  ..........{0... // {}...{}...{}...{}...{}...{}...{} // {}...{}...{}...
                      +---------+---- // +---------+---------+---------+- // -----+---------
                  ms  0.0       0.5   // 62.0      62.5      63.0         //      125.0
                      fill            // steady state                     // drain
            // 61.2 ms and 61.1 ms left out
        "#]],
    );
    check(
        &Timeline::new(&spans).width(40),
        expect![[r#"
            host 0    0│├2·· // │·│·│·│·│· // │·····
            host 1    ·····0 // ·║·║·║·║·║ // ·║·║·║
            link in   ·0│·2· // ·│·│·│·│·│ // ·│····
            kernel    ··┣0┣1 // ┣┫┣┫┣┫┣┫┣┫ // ┣┫┣┫··
            link out  ····0· // ║·║·║·║·║· // ║·║·║·
                      ┬───── // ┬───────┬─ // ──┬───
                  ms  0      // 62      63 //   125
                      fill   // steady     // drain
            // 61.2 ms and 61.5 ms left out
        "#]],
    );
    check(
        &Timeline::new(&spans).width(200),
        expect![[r#"
            host 0    ├──0───┤├──1───┤├──2──┤···············3 // ├─247──┤·····├─248──┤·····├─249──┤·····├─250──┤·····├─251──┤·····├─252──┤·····├─253──┤·····├─254──┤····│ // ├─499──┤·······························
            host 1    ·······························╞══0═══╡ // ·····╞═245══╡·····╞═246══╡·····╞═247══╡·····╞═248══╡·····╞═249══╡·····╞═250══╡·····╞═251══╡·····╞═252══╡ // ║····╞═497══╡·····╞═498══╡·····╞═499══╡
            link in   ········├─0─┤···├─1─┤··├─2──┤·········· // ········├247┤········├248┤········├249┤········├250┤········├251┤········├252┤········├253┤········├254┤ // │·······├499┤··························
            kernel    ·············┣━━━━━0━━━━━┫┣━━━━1━━━━━┫┃ // ┣━━━━246━━━━┫┣━━━━247━━━━┫┣━━━━248━━━━┫┣━━━━249━━━━┫┣━━━━250━━━━┫┣━━━━251━━━━┫┣━━━━252━━━━┫┣━━━253━━━━┫┃ // ┃┣━━━498━━━━┫┣━━━━499━━━━┫·············
            link out  ··························╞═0═╡·······1 // ╞245╡········╞246╡········╞247╡········╞248╡········╞249╡········╞250╡········╞251╡········╞252╡·······║ // ╞497╡········╞498╡········╞499╡········
                      ┬─────────┬─────────┬──────────┬─────── // ──┬─────────┬──────────┬─────────┬──────────┬─────────┬─────────┬──────────┬─────────┬──────────┬─────── // ──┬──────────┬─────────┬─────────┬─────
                  ms  0.0       0.2       0.4        0.6      //   61.8      62.0       62.2      62.4       62.6      62.8      63.0       63.2      63.4       63.6     //   124.8      125.0     125.2     125.4
                      fill                                    // steady state                                                                                             // drain
            // 61.0 ms and 61.0 ms left out
        "#]],
    );
}

#[test]
fn a_run_that_can_be_read_is_not_cut() {
    check(
        &Timeline::new(&pipeline(14, 3, [3, 2, 5, 2, 3])),
        expect![[r#"
            host 0    ├0┤├1├2┤·····├3┤··├4··├5┤·├6┤··├7··├8┤·├9┤··10··├11··12··├13··········
            host 1    ···········╞0··╞1╡·╞2╡··╞3··╞4╡·╞5╡··╞6··╞7╡··╞8··╞9╡·╞10··11··╞12·╞13
            link in   ···0·├1·├2······├3··├4···5···├6··├7···8···├9··10···11··12···│·········
            kernel    ····┣━0━┫┣1━┫┣━2━┫┣3━┫┣4━┫┣━5━┫┣6━┫┣7━┫┣━8━┫┣9━┫┣10━┫┣11┫┣12┫┣13━┫····
            link out  ·········╞0··╞1···2···╞3··╞4···5···╞6··╞7···╞8··╞9···║···11··12···║···
                      ┬───────┬────────┬────────┬────────┬───────┬────────┬────────┬────────
                  ns  0       10       20       30       40      50       60       70
        "#]],
    );
}

#[test]
fn a_window_of_a_long_run_is_not_cut() {
    let spans = pipeline(500, 2, [3, 2, 5, 2, 3]);
    check(
        &Timeline::new(&spans).window(Some(1_000..1_060)),
        expect![[r#"
        host 0    ······134···135········├136··├137········138···139········├140··├141··
        host 1    ··╞132··╞133········134···135········╞136··╞137········138···139······
        link in   ·········134···135·········├┤····├┤·········138···139·········├┤····├┤
        kernel    ┣133━┫······┣134━┫┣135┫······┣136━┫┣137━┫······┣138━┫┣139┫······┣140━┫
        link out  ╞╡····╞╡··········╞╡···135·········╞╡····╞╡··········╞╡···139·········
                  ┬──────────┬───────────┬───────────┬──────────┬───────────┬───────────
              ns  1000       1010        1020        1030       1040        1050
    "#]],
    );
    check(
        &Timeline::new(&spans).window(Some(0..4_000)).style(Style::Ascii),
        expect![[r#"
        host 0    ******************************************************************....
        host 1    ******************************************************************....
        link in   ******************************************************************....
        kernel    ******************************************************************....
        link out  ******************************************************************....
                  +-------+--------+--------+--------+-------+--------+--------+--------
              us  0.0     0.5      1.0      1.5      2.0     2.5      3.0      3.5
        * several items
    "#]],
    );
}

#[test]
fn a_pause_does_not_spoil_the_scale() {
    let mut spans = pipeline(400, 3, [1_500, 500, 2_500, 500, 1_500]);
    for span in spans.iter_mut().filter(|span| span.sequence > 150) {
        span.start += 60_000_000;
        span.end += 60_000_000;
    }
    check(
        &Timeline::new(&spans),
        expect![[r#"
            host 0    ├0┤├1┤├2┤····3 // ─┤··199··200··201··202··203··204·· // ─┤············
            host 1    ··········╞0╡· // ·196··197··198··199··200··201··202 // ·397··398··399
            link in   ···0··1··2···· // ··│····│····│····│····│····│····│· // ··│···········
            kernel    ····┣━0━┫┣━1━┫ // ┣197┫┣198┫┣199┫┣200┫┣201┫┣202┫┣203 // ┣398┫┣399┫····
            link out  ·········0···· // ║····║····║····║····║····║····║··· // ║····║····║···
                      ┬─────────┬─── // ─┬─────────┬─────────┬─────────┬── // ──────┬───────
                  µs  0         5    //  60495     60500     60505         //       61000
                      fill           // steady state                       // drain
            // 60.5 ms and 486 µs left out
        "#]],
    );
}

#[test]
fn four_lanes_with_long_host_work_are_cut() {
    let mut spans = Vec::new();
    for sequence in 0..200 {
        let start = 1_000_000 * sequence;
        let of = |unit, stage, start: Nanos, end: Nanos| Span {
            unit,
            stage,
            lane: sequence as usize % 4,
            sequence,
            start,
            end,
        };
        spans.push(of(Unit::Host(sequence as usize % 5), Preprocess, start, start + 4_000_000));
        spans.push(of(Unit::Host(sequence as usize % 5), Postprocess, start + 4_000_000, start + 4_500_000));
        spans.push(of(Unit::LinkIn(0), Write, start + 4_500_000, start + 5_000_000));
        spans.push(of(Unit::Kernel(sequence as usize % 4), Kernel, start + 5_000_000, start + 9_000_000));
    }
    check(
        &Timeline::new(&spans),
        expect![[r#"
            host 0    ├─0─┤║├─5─┤║·├10─ // ─90┤║├95─┤║├100┤║·├105┤║├110┤║├115┤ // ··········
            host 1    ·├─1─┤║·├─6─┤║├11 // ├91─┤║├96─┤║·├101┤║├106┤║├111┤║├116 // ║·········
            host 2    ···├─2─┤║├─7─┤║├─ // ║├92─┤║·├97─┤║├102┤║├107┤║├112┤║·├─ // │║········
            host 3    ····├─3─┤║├─8─┤║│ // │║·├93─┤║├98─┤║├103┤║├108┤║·├113┤║│ // ──┤║······
            host 4    ·····├─4─┤║├─9─┤║ // ─89║├94─┤║├99─┤║├104┤║·├109┤║├114┤║ // ─199║·····
            link in   ·····0·1│││·5││││ // │·││││·││││·││││·││││·││││·││││·│││ // │·│││·····
            kernel 0  ······┣━0━┫┣━4━┫┃ // ━84┣88━┫┣92━┫┣96━┫┣100┫┣104┫┣108┫┣━ // ┃┣196┫····
            kernel 1  ········┣━1━┫┣5━━ // ━85┫┣89━┫┣93━┫┣97━┫┣101┫┣105┫┣109┫┃ // 193┣197┫··
            kernel 2  ·········┣━2━┫┣6━ // ┣86━┫┣90━┫┣94━┫┣98━┫┣102┫┣106┫┣110┫ // ━194┣198┫·
            kernel 3  ··········┣━3━┫┣7 // ┃┣87━┫┣91━┫┣95━┫┣99━┫┣103┫┣107┫┣111 // ┣195┫┣199┫
                      ┬─────┬─────┬──── // ─────┬─────┬─────┬─────┬──────┬──── // ┬─────┬───
                  ms  0     5     10    //      95    100   105   110    115   // 200   205
                      fill              // steady state                        // drain
            ├─┤ │ preprocess   ╞═╡ ║ postprocess   // 77.4 ms and 81 ms left out
        "#]],
    );
    check(
        &Timeline::new(&spans).width(120),
        expect![[r#"
        host 0    ├──0──┤║·├──5──┤║├─10── // ─85─┤║·├─90──┤║·├─95──┤║├─100─┤║·├─105─┤║·├─110─┤║·├─115─┤║├120── // ··············
        host 1    ··├──1──┤║├──6──┤║·├11─ // ├─86──┤║·├─91──┤║├─96──┤║·├─101─┤║·├─106─┤║·├─111─┤║├─116─┤║·├121 // ▒·············
        host 2    ···├──2──┤║·├──7──┤║·├─ // ║·├─87──┤║├─92──┤║·├─97──┤║·├─102─┤║·├─107─┤║├─112─┤║·├─117─┤║·├─ // ─┤║···········
        host 3    ·····├──3──┤║·├──8──┤║│ // ─┤║├─88──┤║·├─93──┤║·├─98──┤║·├─103─┤║├─108─┤║·├─113─┤║·├─118─┤║│ // ─198║·········
        host 4    ·······├──4──┤║·├─9──┤║ // ─84║·├─89──┤║·├─94──┤║·├─99──┤║├─104─┤║·├─109─┤║·├─114─┤║·├119─┤║ // ─199┤║········
        link in   ········0·1│·3·4·5│·7·8 // ·│·││·│·│·││·│·│·││·│·│·││·│·│·││·│·│·││·│·│·││·│·│·││·│·│·││·│·│ // ││·││·│·······
        kernel 0  ·········┣━━0━━┫┣━4━━┫┃ // ━80━┫┣━84━━┫┣━88━━┫┣━92━━┫┣━96━━┫┣━100━┫┣━104━┫┣━108━┫┣━112━┫┣116 // ━┫┣━196━┫·····
        kernel 1  ··········┣━━1━━┫┣━5━━━ // ┣━81━━┫┣━85━━┫┣━89━━┫┣━93━━┫┣━97━━┫┣━101━┫┣━105━┫┣━109━┫┣━113━┫┣━ // ━193┣━197━┫···
        kernel 2  ············┣━━2━━┫┣6━━ // 78┣━82━━┫┣━86━━┫┣━90━━┫┣━94━━┫┣━98━━┫┣━102━┫┣━106━┫┣━110━┫┣114━┫┃ // ━194┫┣━198━┫··
        kernel 3  ··············┣━━3━━┫┣7 // ━79┣━83━━┫┣━87━━┫┣━91━━┫┣━95━━┫┣━99━━┫┣━103━┫┣━107━┫┣━111━┫┣115━━ // ┃┣195━┫┣━199━┫
                  ┬───────┬────────┬───── // ──────┬────────┬────────┬────────┬───────┬────────┬────────┬───── // ┬───────┬─────
              ms  0       5        10     //       90       95       100      105     110      115      120    // 200     205
                  fill                    // steady state                                                      // drain
        ├─┤ │ preprocess   ╞═╡ ║ postprocess   ▒ several items   // 72.9 ms and 76.9 ms left out
    "#]],
    );
}

#[test]
fn spans_at_the_same_time_have_an_order() {
    let mut spans = spans(1, &[(Unit::Link(0), Write, &[(0, 0, 9)]), (Unit::Link(0), Read, &[(0, 0, 9)])]);
    let drawn = Timeline::new(&spans).to_string();
    spans.reverse();
    assert_eq!(drawn, Timeline::new(&spans).to_string());
}

#[test]
fn colour_adds_nothing_but_colour() {
    let spans = pipeline(500, 3, [150, 100, 250, 100, 150]);
    let coloured = Timeline::new(&spans).colour(true).to_string();
    check(
        &Timeline::new(&spans[..5]).width(30).colour(true),
        expect![[r#"
            host 0    ESC[36m├0─┤ESC[0m················
            host 1    ················ESC[35m╞0═╡ESC[0m
            link in   ····ESC[34m├0┤ESC[0m·············
            kernel    ·······ESC[32m┣━0━━┫ESC[0m·······
            link out  ·············ESC[33m╞0╡ESC[0m····
                      ┬────────────┬──────
                  µs  0.0          0.5
        "#]],
    );
    let mut plain = String::new();
    for part in coloured.split('\x1b') {
        plain += part.strip_prefix('[').and_then(|part| Some(part.split_once('m')?.1)).unwrap_or(part);
    }
    assert_eq!(plain, Timeline::new(&spans).to_string());
}

#[test]
fn the_steady_state_is_between_the_first_kernel_and_the_last() {
    let spans = pipeline(10, 3, [1, 2, 3, 4, 5]);
    let kernels: Vec<_> = spans.iter().filter(|span| span.stage == Kernel).collect();
    assert_eq!(steady_state(&spans), Some(kernels[0].start..kernels[9].end));
    assert_eq!(kernels[0].start, 3);
    assert_eq!(steady_state(&spans[..2]), None, "no kernel yet");
}

fn any_span() -> impl Strategy<Value = Span> {
    let unit = (0..7_usize, 0..3_usize).prop_map(|(kind, number)| match kind {
        0 => Unit::Source,
        1 => Unit::Host(number),
        2 => Unit::Link(number),
        3 => Unit::LinkIn(number),
        4 => Unit::Kernel(number),
        5 => Unit::LinkOut(number),
        _ => Unit::Delivery,
    });
    let sequence = prop_oneof![0..2_u64, 0..1_000_u64, any::<u64>()];
    // All at once, runs of 100 ns to 10 s, and times that only fit 64 bits.
    let time = prop_oneof![Just(0), 0..100_u64, 0..10_000_000_000_u64, any::<u64>()];
    let duration = prop_oneof![Just(0), 0..100_u64, 0..1_000_000_000_u64, any::<u64>()];
    (unit, 0..5_usize, sequence, time, duration).prop_map(|(unit, stage, sequence, start, duration)| Span {
        unit,
        stage: Stage::ALL[stage],
        lane: 0,
        sequence,
        start,
        end: start.saturating_add(duration),
    })
}

fn any_spans() -> impl Strategy<Value = Vec<Span>> {
    let times = prop::array::uniform5(0..1_000_u64);
    let pipelines =
        (1..300_u64, 1..8_usize, times).prop_map(|(items, depth, times)| pipeline(items, depth, times));
    prop_oneof![pipelines, prop::collection::vec(any_span(), 1..60)]
}

fn any_window() -> impl Strategy<Value = Option<Range<Nanos>>> {
    let bound = || prop_oneof![0..1_000_u64, any::<u64>()];
    prop::option::of((bound(), bound()).prop_map(|(start, end)| start..end))
}

/// The part of a span within some time.
fn part(span: &Span, time: &Range<Nanos>) -> u128 {
    u128::from(span.end.min(time.end).saturating_sub(span.start.max(time.start)))
}

proptest! {
    #[test]
    fn rows_are_as_wide_as_asked_for(
        spans in any_spans(),
        width in 1..300_usize,
        style in prop_oneof![Just(Style::Unicode), Just(Style::Ascii)],
        window in any_window(),
    ) {
        let units = spans.iter().map(|span| span.unit).collect::<HashSet<_>>().len();
        let drawn = Timeline::new(&spans).width(width).style(style).window(window).to_string();
        prop_assert!(style == Style::Unicode || drawn.is_ascii());
        let rows = drawn.lines().take_while(|line| line.width() == width).count();
        prop_assert!(rows > units, "rows and ruler are {width} wide:\n{drawn}");
        for line in drawn.lines() {
            prop_assert!(line.width() <= width && line.trim_end() == line, "{width}:\n{drawn}");
        }
    }

    #[test]
    fn the_order_of_the_spans_does_not_matter(mut spans in any_spans(), width in 1..300_usize) {
        let drawn = Timeline::new(&spans).width(width).to_string();
        spans.reverse();
        prop_assert_eq!(drawn, Timeline::new(&spans).width(width).to_string());
    }

    #[test]
    fn no_span_hides_another_that_is_as_long_as_a_cell(
        spans in any_spans(),
        cells in 1..300_usize,
        window in any_window(),
    ) {
        let room = Room { cells, cut: 4, readable: 6 };
        let layout = Layout::new(&spans, room, window);
        for row in &layout.rows {
            for pair in row.bars.windows(2) {
                prop_assert!(pair[0].cells.end <= pair[1].cells.start, "{row:?}");
            }
        }
        for segment in &layout.segments {
            let length = u128::from(segment.time.end.saturating_sub(segment.time.start));
            let shown = |span: &Span| layout.rows.iter().filter(|row| row.unit == span.unit).any(|row| {
                let inside = |cells: &Range<usize>| {
                    segment.cells.start <= cells.start && cells.start < cells.end && cells.end <= segment.cells.end
                };
                row.bars.iter().any(|bar| bar.span == *span && bar.spans == 1 && inside(&bar.cells))
            });
            for span in &spans {
                let cells = part(span, &segment.time) * segment.cells.len() as u128;
                prop_assert!(cells < length || cells == 0 || shown(span), "{span:?} in {segment:?}");
            }
        }
    }

    #[test]
    fn a_cut_run_has_one_scale_and_misses_periods(
        items in prop_oneof![10..40_u64, 100..300_u64],
        depth in 1..8_usize,
        times in prop::array::uniform5(1..1_000_u64),
    ) {
        let spans = pipeline(items, depth, times);
        let layout = Layout::new(&spans, Room { cells: 100, cut: 4, readable: 6 }, None);
        let starts: Vec<_> = spans.iter().filter(|span| span.stage == Kernel).map(|span| span.start).collect();
        let shortest = starts.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        let cell = |time: &Range<Nanos>, cells: &Range<usize>| (time.end - time.start) as f64 / cells.len() as f64;
        for pair in layout.segments.windows(2) {
            prop_assert_eq!(cell(&pair[0].time, &pair[0].cells), cell(&pair[1].time, &pair[1].cells));
            prop_assert!(pair[0].time.end + shortest <= pair[1].time.start, "{layout:?}");
            prop_assert_eq!(pair[0].cells.end + 4, pair[1].cells.start);
        }
        prop_assert!(items < 100 || layout.segments.len() == 3, "{:?}", layout.segments);
    }
}
