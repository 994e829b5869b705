//! Reads an input as a file and as a pipe, whole frames and fragments.

use std::io::Cursor;

use media::{Container, Demuxer, Packaging, Sample};

/// Samples of one input that are looked at: a table may list more with few bytes, and all are read alike.
const MAX_SAMPLES: usize = 20_000;

/// Demuxes the input, if it is of one of these containers. All samples are of a track that the demuxer has, and the
/// pipe has no sample that the file has not.
pub fn demux(input: &[u8], of: &[Container]) {
    let open_file = |packaging| Demuxer::open_file(Cursor::new(input.to_vec()), packaging);
    let Ok(file) = open_file(Packaging::Frames) else {
        // The pipe must stand whatever the file refuses.
        drop(Demuxer::open(Cursor::new(input.to_vec()), Packaging::Frames));
        return;
    };
    if !of.contains(&file.container()) {
        return;
    }
    let file = read(file);
    if let Ok(pipe) = Demuxer::open(Cursor::new(input.to_vec()), Packaging::Frames) {
        let pipe = read(pipe);
        let same = pipe.iter().zip(&file).all(|(one, other)| one.data == other.data);
        assert!(pipe.len() > file.len() || same, "a pipe and a file differ");
    }
    if let Ok(fragments) = open_file(Packaging::Cmaf) {
        read(fragments);
    }
}

fn read(demuxer: Demuxer) -> Vec<Sample> {
    let tracks = demuxer.tracks().len();
    let samples: Vec<_> = demuxer.take(MAX_SAMPLES).map_while(Result::ok).collect();
    assert!(samples.iter().all(|sample| sample.track < tracks), "a sample of no track");
    samples
}
