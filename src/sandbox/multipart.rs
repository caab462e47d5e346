//! A strict parser of multipart/form-data that works as the bytes arrive. Fields are kept, the file is passed on.

/// Parses a body piece by piece.
pub(super) struct Multipart {
    /// CRLF, two dashes and the boundary.
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    state: State,
    /// Name and value of the fields that are not files.
    pub(super) fields: Vec<(String, String)>,
    /// Name of the file part, and its filename.
    pub(super) file: Option<(String, String)>,
    wrong: Option<String>,
}

#[derive(PartialEq, Eq)]
enum State {
    Preamble,
    Head,
    Field(String),
    File,
    Done,
}

impl Multipart {
    /// Creates a parser for a Content-Type.
    pub(super) fn new(content_type: &str) -> Result<Multipart, String> {
        let rest = content_type.strip_prefix("multipart/form-data").ok_or("the body is not multipart/form-data")?;
        let boundary = rest.split("boundary=").nth(1).ok_or("there is no boundary")?.trim().trim_matches('"');
        if boundary.is_empty() || boundary.len() > 70 {
            return Err("the boundary is empty or longer than 70 characters".to_owned());
        }
        Ok(Multipart {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // the first delimiter has no CRLF before it; this makes it look like the others
            buffer: b"\r\n".to_vec(),
            state: State::Preamble,
            fields: Vec::new(),
            file: None,
            wrong: None,
        })
    }

    /// Parses a piece; calls `file` with the bytes that belong to the file.
    pub(super) fn feed(&mut self, data: &[u8], mut file: impl FnMut(&[u8])) {
        self.buffer.extend_from_slice(data);
        while self.wrong.is_none() && self.step(&mut file) {}
    }

    // one state machine: what comes next in each state
    fn step(&mut self, file: &mut impl FnMut(&[u8])) -> bool {
        match &self.state {
            State::Done => {
                if self.buffer.iter().any(|byte| !b"\r\n".contains(byte)) {
                    self.wrong = Some("something follows the closing boundary".to_owned());
                }
                self.buffer.clear();
                false
            }
            State::Head => {
                let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") else {
                    if self.buffer.len() > 8192 {
                        self.wrong = Some("the head of a part is too long".to_owned());
                    }
                    return false;
                };
                let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 4);
                // a part without content has its delimiter right here, and the head has consumed its CRLF
                self.buffer.splice(..0, *b"\r\n");
                match self.open_part(&head) {
                    Ok(state) => self.state = state,
                    Err(wrong) => self.wrong = Some(wrong),
                }
                self.buffer.drain(..2);
                true
            }
            State::Preamble | State::Field(_) | State::File => {
                let found = memchr::memmem::find(&self.buffer, &self.delimiter);
                let upto = found.unwrap_or(self.buffer.len().saturating_sub(self.delimiter.len() - 1));
                let after = found.map(|at| at + self.delimiter.len());
                if let Some(after) = after
                    && self.buffer.len() < after + 2
                {
                    return false;
                }
                match &mut self.state {
                    State::Preamble if upto > 0 => {
                        self.wrong = Some("there is something before the first part".to_owned())
                    }
                    State::Field(value) => {
                        value.push_str(&String::from_utf8_lossy(&self.buffer[..upto]));
                        if value.len() > 65536 {
                            self.wrong = Some("a field is too long".to_owned());
                        }
                    }
                    State::File => file(&self.buffer[..upto]),
                    _ => {}
                }
                let Some(after) = after else {
                    self.buffer.drain(..upto);
                    return false;
                };
                let closing = match &self.buffer[after..after + 2] {
                    b"--" => true,
                    b"\r\n" => false,
                    _ => {
                        self.wrong = Some("a boundary is followed by neither CRLF nor two dashes".to_owned());
                        return false;
                    }
                };
                self.buffer.drain(..after + 2);
                let next = if closing { State::Done } else { State::Head };
                if let State::Field(value) = std::mem::replace(&mut self.state, next)
                    && let Some(last) = self.fields.last_mut()
                {
                    last.1 = value;
                }
                true
            }
        }
    }

    fn open_part(&mut self, head: &str) -> Result<State, String> {
        let disposition = head
            .split("\r\n")
            .find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-disposition").then(|| value.trim())
            })
            .ok_or("a part has no Content-Disposition")?;
        if !disposition.starts_with("form-data;") {
            return Err("a part is not form-data".to_owned());
        }
        let parameter = |key: &str| {
            disposition.split(';').skip(1).find_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                (name == key).then(|| value.trim_matches('"').to_owned())
            })
        };
        let name = parameter("name").ok_or("a part has no name")?;
        match parameter("filename") {
            Some(filename) => {
                if self.file.replace((name, filename)).is_some() {
                    return Err("there is more than one file".to_owned());
                }
                Ok(State::File)
            }
            None => {
                self.fields.push((name, String::new()));
                Ok(State::Field(String::new()))
            }
        }
    }

    /// Ends the body and returns what is wrong with it.
    pub(super) fn end(&self) -> Result<(), String> {
        match &self.wrong {
            Some(wrong) => Err(wrong.clone()),
            None if self.state != State::Done => Err("the closing boundary is missing".to_owned()),
            None => Ok(()),
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
