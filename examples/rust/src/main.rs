//! Fits Reaction ~ Days + (Days | Subject) to a CSV file whose columns are Reaction, Days, Subject.
use std::collections::HashMap;
use std::ffi::{c_char, CStr, CString};
use std::ptr::{null, null_mut};

/// What is used of crossnest/crossnest.h. Handles are opaque: a type that is never made here.
mod ffi {
    use std::ffi::c_char;
    macro_rules! handles { ($($name:ident)*) => { $(pub enum $name {})* } }
    handles!(Options Design Model Response Fit);
    extern "C" {
        pub fn cn_last_error() -> *const c_char;
        pub fn cn_design_new(n: i64, p: i64, x: *const f64, out: *mut *mut Design) -> i32;
        pub fn cn_design_add_factor(design: *mut Design, codes: *const i32, levels: i64) -> i32;
        pub fn cn_design_add_term(design: *mut Design, factor: i64, columns: i64,
                                  values: *const *const f64, covariance: *const c_char) -> i32;
        pub fn cn_model_new(design: *const Design, options: *const Options,
                            out: *mut *mut Model) -> i32;
        pub fn cn_response_new(model: *const Model, y: *const f64, offset: *const f64,
                               out: *mut *mut Response) -> i32;
        pub fn cn_fit_new(response: *const Response, options: *const Options, start: *const f64,
                          length: i64, out: *mut *mut Fit) -> i32;
        pub fn cn_fit_get_double(fit: *const Fit, name: *const c_char, value: *mut f64) -> i32;
        pub fn cn_fit_get_array(fit: *mut Fit, name: *const c_char, values: *mut f64,
                                length: i64) -> i32;
        pub fn cn_fit_message(fit: *const Fit) -> *const c_char;
        pub fn cn_fit_contrast(fit: *mut Fit, weights: *const f64, length: i64, value: *mut f64,
                               error: *mut f64, df: *mut f64) -> i32;
        pub fn cn_fit_free(fit: *mut Fit);
        pub fn cn_response_free(response: *mut Response);
        pub fn cn_model_free(model: *mut Model);
        pub fn cn_design_free(design: *mut Design);
    }
}

fn text(pointer: *const c_char) -> String {
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// The error of a call that returned a code other than 0.
fn check(code: i32) -> Result<(), String> {
    if code == 0 { Ok(()) } else { Err(text(unsafe { ffi::cn_last_error() })) }
}

fn name(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or("sleepstudy.csv".into());
    let (mut reaction, mut days, mut subject) = (vec![], vec![], vec![]);
    let mut codes = HashMap::new(); // a number for each subject, counted from 0
    for line in std::fs::read_to_string(path)?.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let next = codes.len() as i32;
        reaction.push(cells[0].parse::<f64>()?);
        days.push(cells[1].parse::<f64>()?);
        subject.push(*codes.entry(cells[2].to_string()).or_insert(next));
    }

    // The fixed effects by columns: an intercept, and Days.
    let x = [vec![1.0; days.len()], days.clone()].concat();
    // (Days | Subject): each subject has an intercept (null) and a slope.
    let columns = [null(), days.as_ptr()];
    // The library only points at these arrays, which live until the end of main().
    let (mut design, mut model, mut response, mut fit) =
        (null_mut(), null_mut(), null_mut(), null_mut());
    let (mut criterion, mut sigma, mut theta) = (0.0, 0.0, [0.0; 3]);
    unsafe {
        check(ffi::cn_design_new(days.len() as i64, 2, x.as_ptr(), &mut design))?;
        check(ffi::cn_design_add_factor(design, subject.as_ptr(), codes.len() as i64))?;
        let covariance = name("unstructured");
        check(ffi::cn_design_add_term(design, 0, 2, columns.as_ptr(), covariance.as_ptr()))?;
        check(ffi::cn_model_new(design, null(), &mut model))?;
        check(ffi::cn_response_new(model, reaction.as_ptr(), null(), &mut response))?;
        check(ffi::cn_fit_new(response, null(), null(), 0, &mut fit))?;

        check(ffi::cn_fit_get_double(fit, name("objective").as_ptr(), &mut criterion))?;
        check(ffi::cn_fit_get_double(fit, name("sigma").as_ptr(), &mut sigma))?;
        check(ffi::cn_fit_get_array(fit, name("theta").as_ptr(), theta.as_mut_ptr(), 3))?;
        println!("REML criterion {criterion:.3}: {}", text(ffi::cn_fit_message(fit)));
        println!("sigma {sigma:.4}, theta {:.4} {:.4} {:.4}", theta[0], theta[1], theta[2]);

        println!("{:12} {:>9} {:>9} {:>7} {:>8}", "", "Estimate", "Error", "df", "t value");
        for (j, effect) in ["(Intercept)", "Days"].iter().enumerate() {
            let (mut weights, mut value, mut error, mut df) = ([0.0; 2], 0.0, 0.0, 0.0);
            weights[j] = 1.0;
            check(ffi::cn_fit_contrast(fit, weights.as_ptr(), 2, &mut value, &mut error, &mut df))?;
            let t = value / error;
            println!("{effect:12} {value:9.4} {error:9.4} {df:7.2} {t:8.3}");
        }
        ffi::cn_fit_free(fit);
        ffi::cn_response_free(response);
        ffi::cn_model_free(model);
        ffi::cn_design_free(design);
    }
    Ok(())
}
