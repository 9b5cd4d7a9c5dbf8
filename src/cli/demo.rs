//! Command `copal demo`: a slow origin, the proxy before it, and the difference between them.
//!
//! All on free loopback ports. The origin stands for anybody's slow web server: it takes about
//! 300 ms for each page. It is for looking at, not a server for other uses.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::app::{App, Descriptors};
use crate::clock;
use crate::config::{Config, Flags};
use crate::telemetry;

/// How long the origin thinks about each page.
const PAGE_TAKES: Duration = Duration::from_millis(300);

/// Runs until ctrl-c.
pub(super) fn run() -> ExitCode {
    telemetry::init(crate::config::Level::Warn, true);
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("copal: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn demo() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .context("no free loopback port")?;
    let origin = listener.local_addr()?;
    tokio::spawn(serve_origin(listener));
    let flags = Flags {
        listen: vec!["127.0.0.1:0".to_owned()],
        origins: vec![format!("http://{origin}")],
        admin: Some("127.0.0.1:0".to_owned()),
        ..Flags::default()
    };
    let config = Config::from_flags(&flags)?;
    let app = App::start(&config, None, Descriptors::claim(&config)?)?;
    app.announce();
    let addresses = app.addresses();
    let running = tokio::spawn(app.run());
    if let [(_, proxy), .., (_, admin)] = addresses[..] {
        explain(origin, proxy, admin);
        compare(proxy).await?;
        println!("\nctrl-c ends the demo.");
    }
    running.await?;
    Ok(())
}

fn explain(origin: SocketAddr, proxy: SocketAddr, admin: SocketAddr) {
    println!(
        "\na slow origin    http://{origin}/    takes about {} ms for each page\n\
         Copal before it  http://{proxy}/\n\
         its admin door   http://{admin}/    (/metrics, /api/v1/status)\n\n\
         try:  curl -i http://{proxy}/any/page     twice, and look at Cache-Status and Age\n\
         \x20     curl -d '{{\"all\":true}}' http://{admin}/api/v1/purge     and it is slow once more\n",
        PAGE_TAKES.as_millis(),
    );
}

/// Asks for one page a few times and shows what each took.
async fn compare(proxy: SocketAddr) -> anyhow::Result<()> {
    println!("the same page, five times:");
    for _ in 0..5 {
        let began = clock::instant();
        let status = get(proxy, "/shop").await?;
        println!(
            "  {:>9.3} ms   {status}",
            began.elapsed().as_secs_f64() * 1000.0
        );
    }
    Ok(())
}

/// One GET; gives the Cache-Status.
async fn get(proxy: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(proxy).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {proxy}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer
        .lines()
        .find(|line| line.starts_with("cache-status: "));
    Ok(status.unwrap_or("no Cache-Status").to_owned())
}

async fn serve_origin(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            // A client that breaks off is no matter.
            let _ = serve_pages(stream).await;
        });
    }
}

/// Answers every request on a connection with a page that may be kept for a minute.
async fn serve_pages(stream: TcpStream) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(request) = lines.next_line().await? {
        let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
        while lines
            .next_line()
            .await?
            .is_some_and(|line| !line.is_empty())
        {}
        tokio::time::sleep(PAGE_TAKES).await;
        let page = format!("<!doctype html><title>demo</title><p>This is {path}, slowly made.\n");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
             Cache-Control: max-age=60\r\nETag: \"demo\"\r\n\r\n",
            page.len(),
        );
        writer.write_all((head + &page).as_bytes()).await?;
    }
    Ok(())
}
