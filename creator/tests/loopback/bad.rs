//! Inputs that cannot be published: each is refused with one clear line.

use creator::{Input, Repeat, Source};
use media::Packaging;

use crate::files::fixture;

async fn refused(input: Input, packaging: Packaging, repeat: Repeat) -> String {
    let error = Source::open(vec![input], packaging, repeat).await.unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

fn pipe(bytes: &'static [u8]) -> Input {
    Input::Pipe { name: "-".to_owned(), reader: Box::new(bytes) }
}

#[tokio::test]
async fn each_names_the_input_and_the_trouble() {
    let missing = Input::File("no/such/show.mp4".into());
    let error = refused(missing, Packaging::Frames, Repeat::Once).await;
    assert!(error.starts_with("cannot open no/such/show.mp4: "), "{error}");

    let directory = refused(Input::File(fixture("")), Packaging::Frames, Repeat::Once).await;
    assert!(directory.contains("directory"), "{directory}");

    let error = refused(pipe(b"hello, world"), Packaging::Frames, Repeat::Once).await;
    assert!(error.starts_with("-: not a container we know"), "{error}");

    let error = refused(pipe(b""), Packaging::Frames, Repeat::Once).await;
    assert!(error.starts_with("-: "), "{error}");

    let error = refused(Input::File(fixture("h264-opus.mkv")), Packaging::Cmaf, Repeat::Once).await;
    assert!(error.ends_with("publish it as single frames"), "{error}");

    let error = refused(pipe(b""), Packaging::Frames, Repeat::Forever).await;
    assert!(error.contains("--loop"), "{error}");
}
