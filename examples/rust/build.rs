// Links the shared library of the folder where crossnest was installed.
fn main() {
    let prefix = std::env::var("CROSSNEST_PREFIX").expect("set CROSSNEST_PREFIX");
    println!("cargo:rerun-if-env-changed=CROSSNEST_PREFIX");
    println!("cargo:rustc-link-search=native={prefix}/lib");
    println!("cargo:rustc-link-lib=dylib=crossnest_c");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{prefix}/lib");
}
