// SPDX-License-Identifier: Apache-2.0
// What a Rust program does: threads, files, a server on its own loopback, a program, a panic that is caught.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::{fs, io, panic, thread, time};

fn main() {
    let threads: Vec<_> = (0..4u64).map(|i| thread::spawn(move || (0..1_000_000u64).fold(i, |a, b| a ^ b))).collect();
    let joined = threads.into_iter().map(|t| t.join().unwrap()).count();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let serving = thread::spawn(move || server.accept().unwrap().0.write_all(b"served").unwrap());
    let mut said = String::new();
    TcpStream::connect(address).unwrap().read_to_string(&mut said).unwrap();
    serving.join().unwrap();
    fs::write("/tmp/made", "written").unwrap();
    fs::copy("/tmp/made", "/tmp/copied").unwrap();
    let read = fs::read_to_string("/tmp/copied").unwrap();
    let ran = Command::new("/usr/bin/true").status().unwrap().success();
    let caught = panic::catch_unwind(|| panic!("on purpose")).is_err();
    thread::sleep(time::Duration::from_millis(5));
    let mut event = Vec::new();
    io::stdin().read_to_end(&mut event).unwrap();
    println!("rust {joined} {said} {read} {ran} {caught} {}", event.len());
}
