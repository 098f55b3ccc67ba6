//! The commands for what no other image service has: the recipient's view, trusted owners, declared
//! members.

use super::fake::Fake;
use super::{DEBIAN, owner};

/// A server without these routes is named as what it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_is_told_in_one_sentence() {
    let fake = Fake::start().await;
    let shell = fake.shell();
    for (arguments, words) in [
        (&["inbox"][..], "invitations"),
        (&["accept", "--all"], "invitations"),
        (&["pending"], "lists of shares"),
        (&["trust", "list"], "trusted owners"),
        (
            &["trust", "add", "00000000000000000000000000000001"],
            "trusted owners",
        ),
    ] {
        let told = shell.run(arguments).await;
        told.says(
            2,
            &[
                &format!("this server does not know {words}"),
                "(300",
                "newer imshare",
            ],
        );
    }
    let _ = (DEBIAN, owner);
}
