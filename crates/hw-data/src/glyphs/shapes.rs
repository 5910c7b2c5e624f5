//! Which ways of writing each character are known: the table `shapes.txt`, parsed once.

use std::sync::LazyLock;

/// One way of writing one character.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) character: char,
    /// How often it is drawn relative to the character's other shapes; at least 1.
    pub(super) weight: usize,
    pub(super) paths: Vec<Path>,
}

/// The way of the pen from touching the paper to leaving it; at least one point.
pub(super) type Path = Vec<Knot>;

/// A point the pen passes through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Knot {
    /// x to the right and y down, in heights of a capital.
    pub(super) at: [f32; 2],
    /// Whether the pen changes direction abruptly here.
    pub(super) corner: bool,
}

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    parse(include_str!("shapes.txt")).expect("the embedded table is held to its format by a test")
});

/// The shapes of `character`, in the table's order; empty when it has none.
pub(super) fn shapes_of(character: char) -> &'static [Shape] {
    let first = SHAPES.iter().position(|s| s.character == character);
    let same = |start: usize| {
        SHAPES[start..]
            .iter()
            .take_while(|s| s.character == character)
            .count()
    };
    first.map_or(&[], |start| &SHAPES[start..start + same(start)])
}

/// Reads the table; the error names the line and what was expected in it.
fn parse(table: &str) -> Result<Vec<Shape>, String> {
    table
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(index, line)| parse_shape(line).map_err(|e| format!("line {}: {e}", index + 1)))
        .collect()
}

fn parse_shape(line: &str) -> Result<Shape, String> {
    let mut fields = line.trim().splitn(3, ' ');
    let mut next = |what| fields.next().ok_or(format!("expected {what}"));
    let name = next("a character")?;
    let weight = next("a weight")?;
    let paths = next("strokes")?;
    let mut characters = name.chars();
    let (Some(character), None) = (characters.next(), characters.next()) else {
        return Err(format!("expected one character, found {name}"));
    };
    let weight = match weight.parse() {
        Ok(weight) if weight >= 1 => weight,
        _ => return Err(format!("expected a weight of at least 1, found {weight}")),
    };
    Ok(Shape {
        character,
        weight,
        paths: paths.split('|').map(parse_path).collect::<Result<_, _>>()?,
    })
}

fn parse_path(text: &str) -> Result<Path, String> {
    let path: Path = text
        .split_whitespace()
        .map(parse_knot)
        .collect::<Result<_, _>>()?;
    if path.is_empty() {
        return Err("expected at least one point in each stroke".to_owned());
    }
    Ok(path)
}

fn parse_knot(text: &str) -> Result<Knot, String> {
    let (numbers, corner) = match text.strip_suffix('!') {
        Some(numbers) => (numbers, true),
        None => (text, false),
    };
    let hundredth = |text: &str| text.parse::<i16>().map(|n| f32::from(n) / 100.0).ok();
    let point = numbers
        .split_once(',')
        .and_then(|(x, y)| Some([hundredth(x)?, hundredth(y)?]));
    match point {
        Some(at) => Ok(Knot { at, corner }),
        None => Err(format!("expected a point as x,y or x,y!, found {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Knot, SHAPES, parse, shapes_of};
    use std::collections::HashSet;

    #[test]
    fn the_embedded_table_holds_each_character_in_one_run_of_lines() {
        let mut seen = HashSet::new();
        let mut last = None;
        for shape in SHAPES.iter() {
            if last != Some(shape.character) {
                assert!(seen.insert(shape.character), "{} again", shape.character);
            }
            last = Some(shape.character);
        }
        assert_eq!(seen.len(), 72);
    }

    #[test]
    fn every_point_lies_in_the_writing_space() {
        for shape in SHAPES.iter() {
            for Knot { at: [x, y], .. } in shape.paths.iter().flatten() {
                let inside = (0.0..=1.0).contains(x) && (0.0..=1.4).contains(y);
                assert!(inside || *y <= 1.06, "{}: {x},{y}", shape.character);
            }
        }
    }

    #[test]
    fn a_line_reads_as_character_weight_and_strokes() {
        let shapes = parse("# a comment\n\nx 3  10,20 30,-40! | 5,6\n").unwrap();
        assert_eq!((shapes.len(), shapes[0].character), (1, 'x'));
        assert_eq!((shapes[0].weight, shapes[0].paths.len()), (3, 2));
        let corner = Knot {
            at: [0.3, -0.4],
            corner: true,
        };
        assert_eq!(shapes[0].paths[0][1], corner);
    }

    #[test]
    fn a_malformed_line_is_refused_with_its_number() {
        for (line, problem) in [
            ("xy 1 0,0 1,1", "one character"),
            ("x 0 0,0 1,1", "weight of at least 1"),
            ("x 1", "expected strokes"),
            ("x 1 0,0 1;1", "found 1;1"),
            ("x 1 0,0 1,1 |", "at least one point"),
        ] {
            let error = parse(&format!("# first\n{line}")).unwrap_err();
            assert!(error.starts_with("line 2: "), "{error}");
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_character_outside_the_table_has_no_shape() {
        assert!(shapes_of('é').is_empty());
        assert!(shapes_of('a').len() >= 2);
    }
}
