//! A static program resolves names where the C library, and its modules for names, are of another version.

use super::*;

/// Resolves its arguments in a thread, as a server does.
const SOURCE: &str = r#"
fn main() {
    for name in std::env::args().skip(1) {
        let resolve = move || std::net::ToSocketAddrs::to_socket_addrs(&(&*name, 80)).map(|it| it.map(|it| it.ip()).next());
        println!("{:?}", std::thread::spawn(resolve).join().unwrap().ok().flatten());
    }
}
"#;

/// What Debian trixie has, with the C library 2.41.
const PACKAGES: [&str; 6] = ["libc6", "libcap2", "libgcc-s1", "libnss-mdns", "libnss-mymachines", "libnss-resolve"];

/// Unpacks Debian packages into a folder; `None`, with the reason on stderr, where they cannot be had.
fn unpacked(root: &Path) -> Option<()> {
    let apt = root.with_file_name("apt");
    let (lists, archives) = (apt.join("lists/partial"), apt.join("archives/partial"));
    [&lists, &archives, &root.join("etc")].into_iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
    let key = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::write(apt.join("sources"), format!("deb [signed-by={key}] http://deb.debian.org/debian trixie main\n"))
        .unwrap();
    fs::write(apt.join("status"), "").unwrap();
    let folder = apt.display();
    let config = format!(
        "Dir::State \"{folder}\";\nDir::State::status \"{folder}/status\";\nDir::Cache \"{folder}\";\n\
         Dir::Etc::SourceList \"{folder}/sources\";\nDir::Etc::SourceParts \"/nonexistent\";\nAPT::Sandbox::User \"\";\n"
    );
    fs::write(apt.join("conf"), config).unwrap();
    let fetch = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        let output = command.args(args).current_dir(&archives).env("APT_CONFIG", apt.join("conf")).output();
        let is_done = output.as_ref().is_ok_and(|output| output.status.success());
        if !is_done {
            eprintln!("ignored: packages of Debian trixie cannot be had: {output:?}");
        }
        is_done.then_some(())
    };
    fetch(&["update"])?;
    fetch(&[&["download"], &PACKAGES[..]].concat())?;
    for package in fs::read_dir(&archives).unwrap() {
        assert!(Command::new("dpkg-deb").arg("-x").arg(package.unwrap().path()).arg(root).status().unwrap().success());
    }
    for folder in ["lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{folder}"), root.join(folder)).unwrap();
    }
    Some(())
}

#[test]
#[ignore = "it needs apt-get, dpkg-deb and unshare: cargo test -p isobar-cli -- --include-ignored"]
fn names_are_found_next_to_another_c_library() {
    let folder = tempfile::tempdir().unwrap();
    let (root, source) = (folder.path().join("root"), folder.path().join("resolve.rs"));
    let Some(()) = unpacked(&root) else { return };
    fs::write(&source, SOURCE).unwrap();
    let object = folder.path().join("hosts.o");
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/package/hosts.c");
    assert!(Command::new("cc").args(["-c", "-o"]).arg(&object).arg(text).status().unwrap().success());
    let build = |name: &str, args: &[&str]| {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition", "2024", "-C", "target-feature=+crt-static"]).args(args).arg("-o").arg(root.join(name));
        assert!(rustc.arg(&source).status().unwrap().success());
    };
    build("plain", &[]);
    build("resolve", &["-C", &format!("link-arg={}", object.display())]);
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n192.0.2.7 named.example\n").unwrap();
    fs::write(root.join("etc/resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n").unwrap();
    let run = |program: &str, hosts: &str| {
        fs::write(root.join("etc/nsswitch.conf"), format!("hosts: {hosts}\n")).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "--net", "--root"]).arg(&root).arg(format!("/{program}"));
        unshare.args(["localhost", "named.example", "missing.invalid"]).output().unwrap()
    };
    let found = "Some(127.0.0.1)\nSome(192.0.2.7)\nNone\n";
    for hosts in [
        "files dns",
        "mymachines files dns",
        "files mdns4_minimal [NOTFOUND=return] dns",
        "mymachines resolve [!UNAVAIL=return] files mdns4_minimal [NOTFOUND=return] dns",
    ] {
        let output = run("resolve", hosts);
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout) == found, "{hosts}: {output:?}");
    }
    // Why the object is needed. Where both C libraries are the same, nothing ends.
    assert!(run("plain", "files dns").status.success());
    let output = run("plain", "mymachines files dns");
    assert!(!output.status.success(), "{output:?}");
}
