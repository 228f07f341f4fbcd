#![doc = "Feeds [`yagura_fuzz::evaluate`]."]
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| yagura_fuzz::evaluate(data));
