//! The recogniser for a page alone: [`hw_ink`] behind four C functions over bytes, so that no
//! generated glue is needed. `cargo xtask web` builds it; `page/wasm.js` of `hw-serve` calls it.
//!
//! A caller asks [`hw_alloc`] for room, writes its bytes there, calls [`hw_load`] or
//! [`hw_recognise`] with address and length, and gives the room back with [`hw_free`]. The answer is
//! an address: a length (u32, little-endian) and so many bytes of JSON, to be freed too. What fails
//! answers `{"error": "..."}`.
#![warn(missing_docs)]

use hw_ink::api::{self, Request};
use hw_ink::{InkError, Model};
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// The models that were loaded, in that order.
static MODELS: Mutex<Vec<Model>> = Mutex::new(Vec::new());

/// Room for `length` bytes, zeroed.
#[unsafe(no_mangle)]
pub extern "C" fn hw_alloc(length: usize) -> *mut u8 {
    Box::<[u8]>::into_raw(vec![0; length].into_boxed_slice()).cast()
}

/// Gives room back.
///
/// # Safety
/// `address` and `length` are those of one earlier [`hw_alloc`], or of one answer: its address, and
/// its length plus four.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_free(address: *mut u8, length: usize) {
    // SAFETY: by this function's contract the room is a boxed slice of that length, given away once.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(address, length)) });
}

/// Loads a model's file and answers with its card.
///
/// # Safety
/// `length` bytes can be read at `address`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_load(address: *const u8, length: usize) -> *mut u8 {
    // SAFETY: this function's contract.
    answer(load(unsafe { std::slice::from_raw_parts(address, length) }))
}

/// Reads a request's strokes (JSON, see [`Request`]) and answers as the server does, but for the time.
///
/// # Safety
/// `length` bytes can be read at `address`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_recognise(address: *const u8, length: usize) -> *mut u8 {
    // SAFETY: this function's contract.
    answer(recognise(unsafe {
        std::slice::from_raw_parts(address, length)
    }))
}

fn load(bytes: &[u8]) -> Result<hw_ink::Card, InkError> {
    let model = Model::from_bytes(bytes)?;
    let card = model.card.clone();
    let mut models = MODELS.lock().unwrap_or_else(PoisonError::into_inner);
    models.retain(|known| known.card.name != card.name);
    models.push(model);
    Ok(card)
}

fn recognise(bytes: &[u8]) -> Result<api::Answer, InkError> {
    let request: Request = serde_json::from_slice(bytes)
        .map_err(|error| InkError::Strokes(format!("no valid request: {error}")))?;
    let models = MODELS.lock().unwrap_or_else(PoisonError::into_inner);
    let name = request.model.as_deref();
    let model = models
        .iter()
        .find(|model| name.is_none_or(|name| model.card.name == name));
    let model = model.ok_or_else(|| {
        InkError::Model(format!(
            "model {:?} is not loaded",
            name.unwrap_or_default()
        ))
    })?;
    api::read_strokes(&request, &model.card.name, model)
}

/// A length and JSON, in room of their own.
fn answer<T: Serialize>(result: Result<T, InkError>) -> *mut u8 {
    let json = match result {
        Ok(value) => serde_json::to_vec(&value),
        Err(error) => serde_json::to_vec(&serde_json::json!({ "error": error.to_string() })),
    };
    // Numbers and strings: their JSON cannot fail.
    let json = json.unwrap_or_default();
    let mut bytes = (json.len() as u32).to_le_bytes().to_vec();
    bytes.extend(json);
    Box::into_raw(bytes.into_boxed_slice()).cast()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What a page does: room, bytes, call, answer, all given back.
    fn ask(
        what: unsafe extern "C" fn(*const u8, usize) -> *mut u8,
        input: &[u8],
    ) -> serde_json::Value {
        let place = hw_alloc(input.len());
        // SAFETY: the room is as long as the input, and freed once; so is the answer.
        unsafe {
            std::ptr::copy_nonoverlapping(input.as_ptr(), place, input.len());
            let found = what(place, input.len());
            hw_free(place, input.len());
            let length = u32::from_le_bytes(*found.cast::<[u8; 4]>()) as usize;
            let json = std::slice::from_raw_parts(found.add(4), length).to_vec();
            hw_free(found, length + 4);
            serde_json::from_slice(&json).unwrap()
        }
    }

    #[test]
    fn a_page_loads_a_model_and_reads_with_it_as_the_library_does() {
        let card = ask(hw_load, hw_ink::builtin::file("digits").unwrap());
        assert_eq!(card["name"], "digits");
        let request = br#"{"model": "digits", "strokes": [[[10, 10], [60, 10], [30, 90]]]}"#;
        let found = ask(hw_recognise, request);
        let parsed: Request = serde_json::from_slice(request).unwrap();
        let model = hw_ink::builtin("digits").unwrap();
        let expected = api::read_strokes(&parsed, "digits", &model).unwrap();
        // As text, in which a number is as long as its type needs.
        let expected = serde_json::to_string(&expected).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
        assert_eq!(found, expected);
    }

    #[test]
    fn whatever_fails_is_said() {
        for (what, input) in [
            (hw_recognise as unsafe extern "C" fn(_, _) -> _, &b"{"[..]),
            (hw_recognise, br#"{"model": "greek", "strokes": []}"#),
            (hw_load, b"no model"),
        ] {
            assert!(ask(what, input)["error"].is_string());
        }
    }
}
