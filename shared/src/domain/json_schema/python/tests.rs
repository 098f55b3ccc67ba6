use serde_json::json;

use super::*;

#[test]
fn values_are_written_as_by_pythons_repr() {
    for (value, written) in [
        (json!(null), "None"),
        (json!([true, false]), "[True, False]"),
        (
            json!({"a": 1, "b": {"c": -2.5}}),
            "{'a': 1, 'b': {'c': -2.5}}",
        ),
        (json!({}), "{}"),
        (json!(1e300), "1e+300"),
        (json!(1e-7), "1e-07"),
        (json!(1e22), "1e+22"),
        (json!(1.5e-300), "1.5e-300"),
        (json!(0.00001), "1e-05"),
        (json!(0.00012), "0.00012"),
        (json!(1e15), "1000000000000000.0"),
        (json!(1.5e16), "1.5e+16"),
        (json!(-0.0), "-0.0"),
        (json!(u64::MAX), "18446744073709551615"),
        (
            json!("\u{a0}\u{ad}\u{200b}\u{2028}\u{feff}\u{e000}\u{e0001} e\u{301}"),
            "'\\xa0\\xad\\u200b\\u2028\\ufeff\\ue000\\U000e0001 e\u{301}'",
        ),
        (json!("it's"), "\"it's\""),
        (json!("\""), "'\"'"),
        (json!("'\""), r#"'\'"'"#),
        (
            json!("a\\b\n\r\t\u{1}\u{7f}\u{85}é😀"),
            r"'a\\b\n\r\t\x01\x7f\x85é😀'",
        ),
    ] {
        assert_eq!(repr(&value), written, "{value}");
    }
}

/// What `pprint.pformat(value, width=72, sort_dicts=False)` returns, with a margin of four.
#[test]
fn schemas_are_written_as_by_pythons_pprint() {
    for (value, lines) in [
        (
            r#"{"k": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbb"}"#,
            vec![
                r#"{'k': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa '"#,
                r#"      'bbbbb'}"#,
            ],
        ),
        (
            r#"{"k": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbb"}"#,
            vec![
                r#"{'k': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa '"#,
                r#"      'bbbbb'}"#,
            ],
        ),
        (
            r#"{"k": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbb"}"#,
            vec![
                r#"{'k': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa '"#,
                r#"      'bbbbb'}"#,
            ],
        ),
        (
            r#"{"key": ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbb"]}"#,
            vec![
                r#"{'key': ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa '"#,
                r#"         'bbbbb']}"#,
            ],
        ),
        (
            r#"{"key": ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbb"]}"#,
            vec![
                r#"{'key': ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa '"#,
                r#"         'bbbbb']}"#,
            ],
        ),
        (
            r#"{"key": ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbb"]}"#,
            vec![
                r#"{'key': ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa '"#,
                r#"         'bbbbb']}"#,
            ],
        ),
        (
            r#"{"first": "fffffffffffffffffffffffffffffff", "second": ["sssssssssssssssssssssssssssssss"]}"#,
            vec![
                r#"{'first': 'fffffffffffffffffffffffffffffff',"#,
                r#" 'second': ['sssssssssssssssssssssssssssssss']}"#,
            ],
        ),
        (
            r#"{"first": "fffffffffffffffffffffffffffffff", "second": ["ssssssssssssssssssssssssssssssss"]}"#,
            vec![
                r#"{'first': 'fffffffffffffffffffffffffffffff',"#,
                r#" 'second': ['ssssssssssssssssssssssssssssssss']}"#,
            ],
        ),
        (
            r#"{"first": "fffffffffffffffffffffffffffffff", "second": ["sssssssssssssssssssssssssssssssss"]}"#,
            vec![
                r#"{'first': 'fffffffffffffffffffffffffffffff',"#,
                r#" 'second': ['sssssssssssssssssssssssssssssssss']}"#,
            ],
        ),
        (
            r#"[{"one": "111111111111111111111111111111"}, {"two": "222222222222222222222222222222"}, ["three", "3333333333333333333333333333333333333333", 4]]"#,
            vec![
                r#"[{'one': '111111111111111111111111111111'},"#,
                r#" {'two': '222222222222222222222222222222'},"#,
                r#" ['three', '3333333333333333333333333333333333333333', 4]]"#,
            ],
        ),
        (
            r#"{"a": {"b": ["cccccccccccccccccccccccccccccc", "dddddddddddddddddddddddddddddd", "eeeeeeeeee"]}, "z": 1}"#,
            vec![
                r#"{'a': {'b': ['cccccccccccccccccccccccccccccc',"#,
                r#"             'dddddddddddddddddddddddddddddd',"#,
                r#"             'eeeeeeeeee']},"#,
                r#" 'z': 1}"#,
            ],
        ),
        (
            r#"{"enum": ["cccccccccccccccccccc", "dddddddddddddddddddddddddddddddddd"], "x": true}"#,
            vec![
                r#"{'enum': ['cccccccccccccccccccc', 'dddddddddddddddddddddddddddddddddd'],"#,
                r#" 'x': True}"#,
            ],
        ),
        (
            r#"{"enum": ["cccccccccccccccccccc", "ddddddddddddddddddddddddddddddddddd"], "x": true}"#,
            vec![
                r#"{'enum': ['cccccccccccccccccccc',"#,
                r#"          'ddddddddddddddddddddddddddddddddddd'],"#,
                r#" 'x': True}"#,
            ],
        ),
        (
            r#"{"enum": ["cccccccccccccccccccc", "dddddddddddddddddddddddddddddddddddd"], "x": true}"#,
            vec![
                r#"{'enum': ['cccccccccccccccccccc',"#,
                r#"          'dddddddddddddddddddddddddddddddddddd'],"#,
                r#" 'x': True}"#,
            ],
        ),
        (
            r#"{"kkkkk": "lorem ipsum dolor sit amet consectetur adipiscing elit sed do qqqqqqqqq", "last": "lorem ipsum dolor sit amet consectetur adipiscing elit sed qqqqqqqqq"}"#,
            vec![
                r#"{'kkkkk': 'lorem ipsum dolor sit amet consectetur adipiscing elit sed '"#,
                r#"          'do qqqqqqqqq',"#,
                r#" 'last': 'lorem ipsum dolor sit amet consectetur adipiscing elit sed '"#,
                r#"         'qqqqqqqqq'}"#,
            ],
        ),
        (
            r#"{"kkkkk": "lorem ipsum dolor sit amet consectetur adipiscing elit sed do qqqqqqqqqq", "last": "lorem ipsum dolor sit amet consectetur adipiscing elit sed qqqqqqqqqq"}"#,
            vec![
                r#"{'kkkkk': 'lorem ipsum dolor sit amet consectetur adipiscing elit sed '"#,
                r#"          'do qqqqqqqqqq',"#,
                r#" 'last': 'lorem ipsum dolor sit amet consectetur adipiscing elit sed '"#,
                r#"         'qqqqqqqqqq'}"#,
            ],
        ),
        (
            r#"{"kkkkk": "lorem ipsum dolor sit amet consectetur adipiscing elit sed do qqqqqqqqqqq", "last": "lorem ipsum dolor sit amet consectetur adipiscing elit sed qqqqqqqqqqq"}"#,
            vec![
                r#"{'kkkkk': 'lorem ipsum dolor sit amet consectetur adipiscing elit sed '"#,
                r#"          'do qqqqqqqqqqq',"#,
                r#" 'last': 'lorem ipsum dolor sit amet consectetur adipiscing elit sed '"#,
                r#"         'qqqqqqqqqqq'}"#,
            ],
        ),
        (
            r#"{"kkkkk": "lorem ipsum dolor sit amet consectetur adipiscing elit sed do qqqqqqqqqqqq", "last": "lorem ipsum dolor sit amet consectetur adipiscing elit sed qqqqqqqqqqqq"}"#,
            vec![
                r#"{'kkkkk': 'lorem ipsum dolor sit amet consectetur adipiscing elit sed '"#,
                r#"          'do qqqqqqqqqqqq',"#,
                r#" 'last': 'lorem ipsum dolor sit amet consectetur adipiscing elit sed '"#,
                r#"         'qqqqqqqqqqqq'}"#,
            ],
        ),
        (
            r#"{"k": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccc"}"#,
            vec![
                r#"{'k': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb '"#,
                r#"      'cccccccccc'}"#,
            ],
        ),
        (
            r#"{"k": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccc"}"#,
            vec![
                r#"{'k': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa '"#,
                r#"      'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccc'}"#,
            ],
        ),
    ] {
        let value: Value = serde_json::from_str(value).unwrap();
        let written = pretty(&value, 4, 0);
        assert_eq!(written.split("\n    ").collect::<Vec<_>>(), lines);
    }
}
