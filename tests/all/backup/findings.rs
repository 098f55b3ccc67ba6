//! What `imshare check` finds in data that does not agree with itself. Each test damages one thing.

use rusqlite::Connection;

use super::Place;

/// Checks a data directory after these statements. Returns the findings.
async fn after(place: &Place, statements: &str) -> Vec<String> {
    let data = place.path("data");
    let table = Connection::open(data.join("table.sqlite")).unwrap();
    table.execute_batch(statements).unwrap();
    drop(table);
    found(place).await
}

async fn found(place: &Place) -> Vec<String> {
    let checked = place
        .run(&["check", "--data-dir", "data", "-f", "json"])
        .await;
    let found = checked.findings();
    let checked = checked.expect(i32::from(!found.is_empty()));
    let count = match found.len() {
        0 => "all is well".to_owned(),
        1 => "1 finding".to_owned(),
        more => format!("{more} findings"),
    };
    assert!(checked.err.contains(&count), "{checked:?}");
    found.into_iter().map(|(_, what)| what).collect()
}

/// Replaces a text in a record, and in its rows of all indexes.
fn everywhere(record: &str, from: &str, to: &str) -> String {
    let mut all = format!(
        "UPDATE imshare SET item_json = replace(item_json, '{from}', '{to}') WHERE {record};"
    );
    for index in [
        "by_project",
        "by_visibility",
        "by_name",
        "by_open_name",
        "by_due",
        "by_owner",
    ] {
        let record = record
            .replace("pk ", "table_pk ")
            .replace("sk ", "table_sk ");
        all.push_str(&format!(
            "UPDATE \"imshare::gsi::{index}\" SET item_json = replace(item_json, '{from}', '{to}') \
             WHERE {record};"
        ));
    }
    all
}

const IMAGE: &str = "sk = 'S:IMAGE'";
const MEMBER: &str = "sk = 'S:MEM#a'";
const JOB: &str = "sk = 'S:JOB'";

#[tokio::test(flavor = "multi_thread")]
async fn data_as_a_server_leaves_it_is_well() {
    let place = Place::with_data("data").await;
    assert!(found(&place).await.is_empty());
    let told = place.run(&["check", "--data-dir", "data"]).await.expect(0);
    assert!(told.out.is_empty(), "{told:?}");
    let counts = "(1 image, 3 memberships, 1 job)";
    assert!(told.err.contains(counts), "{told:?}");
}

/// It is the one finding: of what it is about, as much is taken to be right as its key tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_newer_release_is_found() {
    for record in [MEMBER, "sk = 'S:USAGE'"] {
        let place = Place::with_data("data").await;
        let newer = format!(
            "UPDATE imshare SET item_json = json_set(item_json, '$.v', json('{{\"N\":\"2\"}}')) WHERE {record}"
        );
        let found = after(&place, &newer).await;
        let [one] = &found[..] else {
            panic!("{record}: {found:?}")
        };
        assert!(one.contains("record of a newer release"), "{one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_of_members_that_is_wrong_is_found() {
    let place = Place::with_data("data").await;
    let wrong = everywhere(
        IMAGE,
        r#""member_count":{"N":"3"}"#,
        r#""member_count":{"N":"4"}"#,
    );
    assert_eq!(
        after(&place, &wrong).await,
        ["it counts 4 members and has 3"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_disagrees_is_found() {
    let place = Place::with_data("data").await;
    let by_owner = r#""imshare::gsi::by_owner""#;
    let gone = format!("DELETE FROM {by_owner} WHERE table_sk = 'S:MEM#a'");
    assert_eq!(after(&place, &gone).await, ["it has no row of by_owner"]);
    let place = Place::with_data("data").await;
    let more = format!(
        "INSERT INTO {by_owner} SELECT gsi_pk, gsi_sk || 'x', table_pk, table_sk, item_json \
         FROM {by_owner} WHERE table_sk = 'S:MEM#a'; \
         INSERT INTO {by_owner} SELECT gsi_pk, gsi_sk, table_pk, 'S:MEM#aa', item_json \
         FROM {by_owner} WHERE table_sk = 'S:MEM#b'"
    );
    let two = [
        "it has 2 rows of by_owner",
        "a row of by_owner without its record",
    ];
    assert_eq!(after(&place, &more).await, two);
    let place = Place::with_data("data").await;
    let other = r#"UPDATE "imshare::gsi::by_project" SET item_json = replace(item_json, '02', '03')
                   WHERE table_sk = 'S:IMAGE'"#;
    assert_eq!(
        after(&place, other).await,
        ["its row of by_project differs from it"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_membership_that_is_not_as_its_image_is_found() {
    let place = Place::with_data("data").await;
    // All of its lists show another owner, and all rows agree.
    let moved = everywhere(MEMBER, "SHARED_BY#5e", "SHARED_BY#00");
    assert_eq!(
        after(&place, &moved).await,
        ["opk is not that of the membership's image"]
    );
    let place = Place::with_data("data").await;
    let named = everywhere(IMAGE, "OWNER#5ef", "OWNER#000");
    let found = after(&place, &named).await;
    assert_eq!(
        found,
        [
            "gpk is not that of the image",
            "npk is not that of the image"
        ]
    );
    // Its memberships are left without it.
    let place = Place::with_data("data").await;
    let mut gone = format!("DELETE FROM imshare WHERE {IMAGE};");
    for index in ["by_project", "by_visibility", "by_name"] {
        gone.push_str(&format!(
            "DELETE FROM \"imshare::gsi::{index}\" WHERE table_sk = 'S:IMAGE';"
        ));
    }
    assert_eq!(
        after(&place, &gone).await,
        ["a membership without an image"; 3]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_does_not_parse_is_found() {
    let place = Place::with_data("data").await;
    let wrong = everywhere(
        MEMBER,
        r#""status":{"S":"pending"}"#,
        r#""status":{"S":"maybe"}"#,
    );
    let found = after(&place, &wrong).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("corrupt record: attribute status"),
        "{found:?}"
    );
    let stranger = "INSERT INTO imshare (pk, sk, item_json, item_size) VALUES \
                    ('S:X#1', 'S:Y', '{\"pk\":{\"S\":\"X#1\"},\"sk\":{\"S\":\"Y\"}}', 9)";
    let place = Place::with_data("data").await;
    let found = after(&place, stranger).await;
    assert_eq!(found, ["a record of no kind that this release knows"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_counts_wrong_is_found() {
    let place = Place::with_data("data").await;
    let wrong = everywhere(JOB, r#""succeeded":{"N":"2"}"#, r#""succeeded":{"N":"1"}"#);
    let expected = "it counts 1 succeeded and 2 failed, and its results 2 and 2";
    assert_eq!(after(&place, &wrong).await, [expected]);
    let place = Place::with_data("data").await;
    let wrong = everywhere(JOB, r#""total":{"N":"4"}"#, r#""total":{"N":"5"}"#);
    let found = after(&place, &wrong).await;
    assert!(
        found.contains(&"it has 5 entries, and its pages 4".to_owned()),
        "{found:?}"
    );
    let place = Place::with_data("data").await;
    let wrong = everywhere(JOB, r#"{"S":"IMG.0027"}"#, r#"{"S":"IMG.0060"}"#);
    let expected = "the code that the job has for it is not that of its results";
    assert_eq!(after(&place, &wrong).await, [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_long_overdue_is_found() {
    let place = Place::with_data("data").await;
    let key = r#""dpk":{"S":"DUE#1"},"dsk":{"S":"2026-01-01T00:00:00.000000Z"}"#;
    let owed = format!(
        "UPDATE imshare SET item_json = '{{{key},' || substr(item_json, 2) WHERE {IMAGE};
         INSERT INTO \"imshare::gsi::by_due\" SELECT 'S:DUE#1', 'S:2026-01-01T00:00:00.000000Z', pk, sk,
         '{{{key},\"pk\":{{\"S\":\"' || substr(pk, 3) || '\"}},\"sk\":{{\"S\":\"IMAGE\"}}}}'
         FROM imshare WHERE {IMAGE}"
    );
    let expected =
        "memberships are to be reconciled with the image since 2026-01-01T00:00:00.000000Z";
    assert_eq!(after(&place, &owed).await, [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_and_a_strange_message_are_found() {
    let place = Place::with_data("data").await;
    let queue = Connection::open(place.path("data/queue.sqlite")).unwrap();
    let insert = "INSERT INTO message (message_id, queue, body, attributes, visible_at) VALUES \
                  ('m', 'http://queue.local/batches', '{\"type\":\"dance\"}', '', 0)";
    queue.execute_batch(insert).unwrap();
    drop(queue);
    assert_eq!(
        found(&place).await,
        ["not a message that this release knows"]
    );
    let path = place.path("data/table.sqlite");
    // Into the file itself, not the log beside it.
    let mut bytes = std::fs::read(&path).unwrap();
    for page in bytes.chunks_mut(4096).skip(4).step_by(3) {
        page[..64].fill(0xA5);
    }
    std::fs::write(&path, bytes).unwrap();
    let found = found(&place).await;
    assert!(
        found.iter().any(|what| what.starts_with("damaged: ")),
        "{found:?}"
    );
    // Which is no reason to make a backup of it.
    let backup = ["backup", "b.tar", "--data-dir", "data"];
    place
        .run(&backup)
        .await
        .says(2, "it is damaged, or not a database of imshare");
    assert_eq!(place.names(), ["data"]);
}

/// The file says that there is one project, "a": "b" and "c" are gone.
#[tokio::test(flavor = "multi_thread")]
async fn memberships_of_projects_that_are_gone_are_found_and_removed() {
    let place = Place::with_data("data").await;
    let identity = "[[project]]\nid = \"a\"\nname = \"a\"\n\
                    [[user]]\nid = \"u\"\nname = \"u\"\npassword = \"p\"\n\
                    grants = [{project = \"a\", roles = [\"member\"]}]\n";
    std::fs::write(place.path("identity.toml"), identity).unwrap();
    let check = ["check", "-f", "json", "--data-dir", "data"];
    let by_file = [&check[..], &["--identity", "identity.toml"]].concat();
    let found = place.run(&by_file).await.expect(1).out;
    let gone = |text: &str| text.matches("its project does not exist").count();
    assert_eq!(gone(&found), 2, "{found}");
    let remove = [&by_file[..], &["--remove", "--by", "ops"]].concat();
    let removed = place.run(&remove).await.expect(0).out;
    assert_eq!(
        removed.matches("removed: its project").count(),
        2,
        "{removed}"
    );
    let found = place.run(&by_file).await.expect(0).out;
    assert_eq!(gone(&found), 0, "{found}");
    let needs = [&check[..], &["--remove"]].concat();
    let refused = place.run(&needs).await.expect(2);
    assert!(refused.err.contains("--remove needs"), "{refused:?}");
}
