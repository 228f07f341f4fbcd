#![doc = "Feeds [`yagura_fuzz::file`]."]
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| yagura_fuzz::file(data));
