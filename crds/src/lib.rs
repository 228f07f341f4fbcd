//! Custom resource types; the generated YAML and reference come from here.
