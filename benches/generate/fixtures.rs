//! stub
pub struct Fixture {
    pub path: String,
    pub bytes: Vec<u8>,
}
pub fn fixtures() -> Vec<Fixture> {
    vec![]
}
pub fn readme() -> String {
    String::new()
}
