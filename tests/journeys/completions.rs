//! What packages install beside the binary: completions for shells, and manual pages.

use crate::harness::{TempDir, command};

#[tokio::test]
async fn a_shell_is_told_the_commands() {
    let folder = TempDir::new();
    for shell in ["bash", "zsh", "fish"] {
        let told = command(&["completions", shell], folder.path()).await;
        let script = String::from_utf8(told.stdout).expect("text");
        assert_eq!(told.status.code(), Some(0), "{shell}");
        for word in ["explain", "any-query"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let told = command(&["completions", "cobol"], folder.path()).await;
    assert_eq!(told.status.code(), Some(2));
}

#[tokio::test]
async fn each_command_has_its_manual_page() {
    let folder = TempDir::new();
    let told = command(&["man", "."], folder.path()).await;
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    for (page, word) in [
        ("copal.1", "purge"),
        ("copal-run.1", "origin"),
        ("copal-explain.1", "header"),
    ] {
        let page = std::fs::read_to_string(folder.path().join(page)).expect("the page");
        assert!(page.contains(".TH") && page.contains(word), "{page}");
    }
    let told = command(&["man", "nowhere"], folder.path()).await;
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stderr).contains("nowhere"));
}
