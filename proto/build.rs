//! Compiles the `.proto` files with protox, so that no `protoc` has to be installed.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let root = Path::new("proto");
    let files = ["entail/v1/entail.proto", "entail/internal/v1/internal.proto"];
    let descriptors = protox::compile(files, [root])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    let public = protox::compile([files[0]], [root])?;
    std::fs::write(out.join("entail.v1.bin"), prost::Message::encode_to_vec(&public))?;
    for package in ["entail.v1", "entail.internal.v1"] {
        let services = descriptors.file.iter().filter(|file| file.package() == package).flat_map(|file| &file.service);
        let methods = services.flat_map(|service| {
            service.method.iter().map(move |method| (format!("{package}.{}", service.name()), method.name()))
        });
        let methods: Vec<(String, &str)> = methods.collect();
        std::fs::write(out.join(format!("{package}.methods.rs")), format!("&{methods:?}"))?;
    }
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
