#![doc = "Feeds [`yagura_fuzz::condition`]."]
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| yagura_fuzz::condition(data));
