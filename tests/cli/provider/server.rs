//! A chat endpoint on this machine that does as it is told, good or bad.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// A question as it came.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) path: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
}

impl Question {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(known, value)| (known == name).then_some(&**value))
    }

    /// What the last turn says.
    pub(super) fn last(&self) -> &str {
        let turns = self.body["messages"].as_array().expect("messages");
        turns.last().expect("a turn")["content"]
            .as_str()
            .expect("text")
    }
}

/// What the server does with a question.
pub(super) enum Reply {
    /// Status, headers such as `retry-after: 1`, body.
    Http(u16, &'static str, String),
    /// Half an answer, and the end of the connection.
    Cut,
    /// Nothing for so long.
    Silence(Duration),
}

/// An OpenAI answer.
pub(super) fn openai(text: &str) -> Reply {
    let body = json!({
        "model": "tiny-2026",
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20},
    });
    Reply::Http(200, "", body.to_string())
}

/// A server; its threads end with the tests.
pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Question>>>,
}

impl Server {
    /// Answers question number `n`, from 0, with what `reply` says.
    pub(super) fn start(reply: impl Fn(usize, &Question) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, reply) = (Arc::clone(&asked), Arc::new(reply));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, reply) = (Arc::clone(&log), Arc::clone(&reply));
                thread::spawn(move || {
                    // A program that was killed does not listen any more.
                    let _ = answer(stream, &log, &*reply);
                });
            }
        });
        Self { url, asked }
    }

    pub(super) fn asked(&self) -> Vec<Question> {
        self.asked.lock().expect("the log").clone()
    }

    pub(super) fn count(&self) -> usize {
        self.asked.lock().expect("the log").len()
    }
}

fn answer(
    stream: TcpStream,
    log: &Mutex<Vec<Question>>,
    reply: &(impl Fn(usize, &Question) -> Reply + ?Sized),
) -> std::io::Result<()> {
    let question = read(&stream)?;
    let number = {
        let mut log = log.lock().expect("the log");
        log.push(question.clone());
        log.len() - 1
    };
    let mut stream = stream;
    match reply(number, &question) {
        Reply::Http(status, header, body) => {
            let header = match header {
                "" => String::new(),
                header => format!("{header}\r\n"),
            };
            write!(
                stream,
                "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n{header}content-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            )
        }
        Reply::Cut => write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: 500\r\nconnection: close\r\n\r\n{{\"choices\": [{{\"mess"
        ),
        Reply::Silence(time) => {
            thread::sleep(time);
            Ok(())
        }
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Question> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let is_get = line.starts_with("GET ");
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Question {
        path,
        headers,
        body: match is_get {
            true => Value::Null,
            false => serde_json::from_slice(&body).expect("the question is JSON"),
        },
    })
}
