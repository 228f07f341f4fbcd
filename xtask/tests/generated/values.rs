//! The page of the chart's values, made from the comments in `values.yaml`.

/// A value with what stands above it.
struct Row {
    path: String,
    default: String,
    says: String,
}

/// The page.
pub(super) fn page(values: &str) -> String {
    let mut page = "# Values of the chart\n\n\
         Generated from the comments in `charts/yagura/values.yaml`; `cargo xtask gen` rewrites it.\n\n\
         | value | default | meaning |\n|---|---|---|\n"
        .to_owned();
    for row in rows(values) {
        let says = row.says.replace('|', "\\|");
        let line = format!("| `{}` | {} | {says} |\n", row.path, row.default);
        page.push_str(&line);
    }
    page
}

/// Every value that is no mere folder of others, or that has a comment of its own.
fn rows(values: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(said) = text.strip_prefix('#') {
            comment.push(said.trim());
            continue;
        }
        // A comment stands right above its value; the one at the file's head belongs to none.
        let Some((key, rest)) = text.split_once(':') else {
            comment.clear();
            continue;
        };
        path.retain(|(outer, _)| *outer < indent);
        path.push((indent, key.to_owned()));
        let (default, says) = (rest.trim(), comment.join(" "));
        comment.clear();
        if default.is_empty() && says.is_empty() {
            continue;
        }
        let names: Vec<&str> = path.iter().map(|(_, name)| name.as_str()).collect();
        rows.push(Row {
            path: names.join("."),
            default: if default.is_empty() {
                String::new()
            } else {
                format!("`{default}`")
            },
            says,
        });
    }
    rows
}

#[test]
fn comments_belong_to_the_value_below_them() {
    let page = page(
        "# Head.\n\n# What it is,\n# in two lines.\na: ''\nb:\n  # Inner | bar.\n  c: 1\n  d: {}\n# Folder.\ne:\n  f: x\n",
    );
    let rows: Vec<&str> = page.lines().skip(6).collect();
    assert_eq!(
        rows,
        [
            "| `a` | `''` | What it is, in two lines. |",
            "| `b.c` | `1` | Inner \\| bar. |",
            "| `b.d` | `{}` |  |",
            "| `e` |  | Folder. |",
            "| `e.f` | `x` |  |",
        ]
    );
}
