//! Reading what may keep us waiting for ever.
//!
//! In:  standard input or a pipe, whose writer decides when bytes come.
//! Out: its chunks, and an end of the waiting once the run is cancelled.
//!
//! A read that waits cannot be called back, so a thread of its own does it. A
//! cancelled run leaves that thread behind; it ends when its read returns, or
//! with the process, and by then nobody listens to it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::source::{Chunk, ChunkReader};
use crate::cancel::Cancel;
use crate::error::{Error, Result};

/// How often a wait looks up to see whether it is still wanted.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Does `work` on a thread of its own, and stops waiting for it once cancelled.
///
/// # Errors
///
/// Those of `work`; [`Error::Cancelled`]; [`Error::Panic`] if it panicked.
pub(crate) fn patiently<T: Send + 'static>(
    cancel: &Cancel,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = sync_channel(1);
    detach(move || {
        // Where nobody waits any more, the result is not wanted.
        let _ = sender.send(work());
    })?;
    receive(cancel, &receiver)?
}

fn detach(work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name("stream".into())
        .spawn(work)
        .map(drop)
        .map_err(|source| Error::io("stream", "start a thread for", source))
}

fn receive<T>(cancel: &Cancel, receiver: &Receiver<T>) -> Result<T> {
    loop {
        cancel.check()?;
        match receiver.recv_timeout(LOOK_UP) {
            Ok(message) => return Ok(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Panic {
                    task: "reading a stream".into(),
                    message: "its thread ended without a word".into(),
                });
            }
        }
    }
}

/// What the reading thread says.
enum Message {
    Chunk {
        chunk: Chunk,
        stored_bytes: u64,
    },
    End {
        stored_bytes: u64,
        damage: Option<String>,
    },
    Failed(Error),
}

/// A reader whose waiting is done by another thread, one chunk ahead.
pub(crate) struct Streamed {
    cancel: Cancel,
    messages: Receiver<Message>,
    /// Buffers on their way back to be filled again.
    spare: SyncSender<Vec<u8>>,
    stored_bytes: u64,
    damage: Option<String>,
    ended: bool,
}

impl Streamed {
    /// Opens and reads on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there is no thread to be had; what opening says comes with the first chunk.
    pub fn open(
        cancel: &Cancel,
        open: impl FnOnce() -> Result<Box<dyn ChunkReader>> + Send + 'static,
    ) -> Result<Self> {
        let (sender, messages) = sync_channel(1);
        let (spare, spares) = sync_channel(4);
        detach(move || {
            if let Err(error) = pump(open, &sender, &spares) {
                let _ = sender.send(Message::Failed(error));
            }
        })?;
        Ok(Streamed {
            cancel: cancel.clone(),
            messages,
            spare,
            stored_bytes: 0,
            damage: None,
            ended: false,
        })
    }
}

/// Reads to the end, or until nobody listens.
fn pump(
    open: impl FnOnce() -> Result<Box<dyn ChunkReader>>,
    sender: &SyncSender<Message>,
    spares: &Receiver<Vec<u8>>,
) -> Result<()> {
    let mut reader = open()?;
    loop {
        let next = reader.next(spares.try_recv().unwrap_or_default())?;
        let stored_bytes = reader.stored_bytes_read();
        let Some(chunk) = next else {
            let damage = reader.damage();
            let _ = sender.send(Message::End {
                stored_bytes,
                damage,
            });
            return Ok(());
        };
        if sender
            .send(Message::Chunk {
                chunk,
                stored_bytes,
            })
            .is_err()
        {
            return Ok(());
        }
    }
}

impl ChunkReader for Streamed {
    fn next(&mut self, reuse: Vec<u8>) -> Result<Option<Chunk>> {
        if self.ended {
            return Ok(None);
        }
        // Full means that the other side has buffers enough.
        let _ = self.spare.try_send(reuse);
        match receive(&self.cancel, &self.messages)? {
            Message::Chunk {
                chunk,
                stored_bytes,
            } => {
                self.stored_bytes = stored_bytes;
                Ok(Some(chunk))
            }
            Message::End {
                stored_bytes,
                damage,
            } => {
                self.stored_bytes = stored_bytes;
                self.damage = damage;
                self.ended = true;
                Ok(None)
            }
            Message::Failed(error) => {
                self.ended = true;
                Err(error)
            }
        }
    }

    fn stored_bytes_read(&self) -> u64 {
        self.stored_bytes
    }

    fn damage(&self) -> Option<String> {
        self.damage.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::io::TextChunk;

    /// Gives `left` chunks of one byte, then waits for ever or ends.
    struct Slow {
        left: u64,
        for_ever: bool,
    }

    impl ChunkReader for Slow {
        fn next(&mut self, mut reuse: Vec<u8>) -> Result<Option<Chunk>> {
            if self.left == 0 && self.for_ever {
                std::thread::sleep(Duration::from_secs(3600));
            }
            if self.left == 0 {
                return Ok(None);
            }
            self.left -= 1;
            reuse.clear();
            reuse.push(b'0' + self.left as u8);
            Ok(Some(Chunk::Text(TextChunk {
                bytes: reuse,
                file: 0,
                first_byte: 0,
                block: 0,
                long: None,
                replaced: None,
            })))
        }

        fn stored_bytes_read(&self) -> u64 {
            9 - self.left
        }

        fn damage(&self) -> Option<String> {
            Some("some".into())
        }
    }

    fn read(reader: &mut Streamed) -> Result<Option<Vec<u8>>> {
        Ok(match reader.next(Vec::new())? {
            Some(Chunk::Text(chunk)) => Some(chunk.bytes),
            Some(Chunk::Csv(..) | Chunk::Batch(..) | Chunk::Work(_)) => {
                panic!("only text was given")
            }
            None => None,
        })
    }

    #[test]
    fn chunks_come_in_order_with_their_counts() {
        let slow = Slow {
            left: 3,
            for_ever: false,
        };
        let mut reader = Streamed::open(&Cancel::new(), move || Ok(Box::new(slow))).unwrap();
        for (bytes, stored) in [(b"2", 7), (b"1", 8), (b"0", 9)] {
            assert_eq!(read(&mut reader).unwrap().unwrap(), bytes);
            assert_eq!(reader.stored_bytes_read(), stored);
        }
        assert_eq!(read(&mut reader).unwrap(), None);
        assert_eq!(reader.damage().as_deref(), Some("some"));
        assert_eq!(read(&mut reader).unwrap(), None);
    }

    #[test]
    fn waiting_ends_when_the_run_is_cancelled() {
        let cancel = Cancel::new();
        let slow = Slow {
            left: 1,
            for_ever: true,
        };
        let mut reader = Streamed::open(&cancel, move || Ok(Box::new(slow))).unwrap();
        assert!(read(&mut reader).unwrap().is_some());
        let stopper = cancel.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            stopper.cancel();
        });
        let start = Instant::now();
        assert!(matches!(read(&mut reader), Err(Error::Cancelled)));
        let sleep = || -> Result<()> {
            std::thread::sleep(Duration::from_secs(3600));
            Ok(())
        };
        assert!(matches!(patiently(&cancel, sleep), Err(Error::Cancelled)));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn errors_and_panics_arrive() {
        let wrong = || Err(Error::plan("no such stream"));
        let mut reader = Streamed::open(&Cancel::new(), wrong).unwrap();
        assert!(matches!(read(&mut reader), Err(Error::Plan { .. })));
        let broken = || -> Result<()> { panic!("on purpose") };
        assert!(matches!(
            patiently(&Cancel::new(), broken),
            Err(Error::Panic { .. })
        ));
        assert_eq!(patiently(&Cancel::new(), || Ok(7)).unwrap(), 7);
    }
}
