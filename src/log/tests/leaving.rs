//! A log whose topic was deleted, while a topic of the same name is made in its place.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::sim::{DIR, open, options};
use super::*;
use crate::io::disk::Disk;
use crate::io::sim_disk::SimDisk;
use crate::log::segment::{Segment, State};

#[test]
fn a_reader_of_a_log_that_left_its_place_is_given_no_file_of_the_one_that_came_there() {
    let disk = SimDisk::new();
    let (log_dir, mut old) = open(&disk, &options());
    for number in 0..20 {
        append(&mut old, batch(&[&format!("old {number}")])).unwrap();
    }
    old.close().unwrap();
    // The first segment, as if none of its files had been needed yet.
    let unopened = || Segment::new(old.log_dir.clone(), old.dir.clone(), Offset(0), State::empty(Offset(0)));
    assert!(unopened().file().is_ok());
    assert!(unopened().sync_indexes().is_ok());
    let expected = read_all(&old, 0);
    old.leave_place();
    disk.rename(Path::new(DIR), Path::new("/data/t-0.x-delete")).unwrap();
    let new = OpenLog {
        name: "t-0",
        topic_id: TopicId(uuid::Uuid::from_u128(1)),
        options: Arc::new(options()),
        recovery_point: Offset::ZERO,
        log_start_offset: Offset::ZERO,
        clean_shutdown: false,
        may_have_gaps: false,
        now: NOW,
    };
    let (mut new, _) = Log::open(&log_dir, &new).unwrap();
    for number in 0..20 {
        append(&mut new, batch(&[&format!("new {number}")])).unwrap();
    }
    new.close().unwrap();
    assert_eq!(unopened().file().err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    assert!(unopened().sync_indexes().is_err());
    assert_eq!(read_all(&old, 0), expected, "what is open stays readable");
    assert_eq!(read_all(&new, 0)[0].1, "new 0");
    assert!(!log_dir.is_poisoned());
}
