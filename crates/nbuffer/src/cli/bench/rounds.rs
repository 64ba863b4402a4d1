//! Runs, each of them checked.

use std::sync::Arc;

use nbuffer::summary::Summary;
use nbuffer::{Answer, Device, Failure, Job, Model, Settings};

use crate::cli::interrupt;
use crate::cli::workload::Images;

/// What every run shares, and what the runs so far said.
pub(super) struct Bench {
    model: Arc<Model>,
    devices: Vec<Box<dyn Device>>,
    images: Images,
    /// The first answer to each file, from whichever run gave it.
    answers: Vec<Option<Answer>>,
    /// How many runs were checked to their end.
    n_checked: usize,
}

/// How a run ended.
pub(super) enum Ended {
    /// Every item has the answer it had before. Boxed, since the others are small.
    Whole(Box<Summary>),
    Interrupted,
    /// An item failed or has another answer than before, or not all were run.
    Wrong(String),
}

impl Bench {
    pub(super) fn new(model: Arc<Model>, devices: Vec<Box<dyn Device>>, images: Images) -> Self {
        let answers = vec![None; images.files.len()];
        Bench { model, devices, images, answers, n_checked: 0 }
    }

    /// Items of each run.
    pub(super) fn n_items(&self) -> u64 {
        self.images.count
    }

    /// How many runs were checked to their end.
    pub(super) fn n_checked(&self) -> usize {
        self.n_checked
    }

    /// One run over all items, with programs and lanes of its own: none finds a ring that another one filled.
    pub(super) fn run(&mut self, settings: &Settings) -> anyhow::Result<Ended> {
        let job = Job::new(&self.model, &self.devices, settings)?;
        let mut running = job.run(self.images.items())?;
        interrupt::cancels(running.canceller())?;
        let mut items = 0;
        for finished in &mut running {
            let answer = match finished.result {
                Ok(answer) => answer,
                Err(Failure::Cancelled) => continue,
                Err(Failure::Failed(why)) => {
                    let path = finished.item.display();
                    return Ok(Ended::Wrong(format!("item {} (`{path}`) failed: {why}", finished.sequence)));
                }
            };
            items += 1;
            let first = &mut self.answers[self.images.file_of(finished.sequence)];
            let first = first.get_or_insert_with(|| answer.clone());
            if !is_same(first, &answer) {
                return Ok(Ended::Wrong(format!(
                    "item {} (`{}`) came to {}, and to {} before",
                    finished.sequence,
                    finished.item.display(),
                    in_words(&answer),
                    in_words(first)
                )));
            }
        }
        match running.cut_short() {
            Some(why) if running.is_refused() => anyhow::bail!(why),
            Some(why) => return Ok(Ended::Wrong(format!("the run ended early: {why}"))),
            None if interrupt::came() => return Ok(Ended::Interrupted),
            None => {}
        }
        assert_eq!(items, self.images.count, "every item ends exactly once");
        self.n_checked += 1;
        Ok(Ended::Whole(Box::new(running.summary())))
    }
}

/// Whether answers are the same to the last bit; a score that is no number is itself.
fn is_same(one: &Answer, other: &Answer) -> bool {
    match (one, other) {
        (Answer::Class(a), Answer::Class(b)) => a.class == b.class && a.score.to_bits() == b.score.to_bits(),
        _ => one == other,
    }
}

fn in_words(answer: &Answer) -> String {
    match answer {
        Answer::Class(class) => format!("`{}` ({})", class.label, class.score),
        Answer::Outputs { outputs } => {
            let digests: Vec<_> = outputs.iter().map(|output| output.checksum.as_str()).collect();
            digests.join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use nbuffer::Class;

    use super::*;

    #[test]
    fn answers_are_the_same_to_the_last_bit() {
        let class = |class, score| Answer::Class(Class { class, label: "x".to_owned(), score });
        assert!(is_same(&class(1, 0.5), &class(1, 0.5)) && is_same(&class(1, f32::NAN), &class(1, f32::NAN)));
        assert!(!is_same(&class(1, 0.5), &class(2, 0.5)));
        assert!(!is_same(&class(1, 0.5), &class(1, 0.5_f32.next_up())));
        assert!(!is_same(&class(1, 0.5), &Answer::Outputs { outputs: Vec::new() }));
    }
}
