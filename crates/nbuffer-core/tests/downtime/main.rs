//! What compute units waited for, in virtual time, where the cause is planted and so known.

mod agreement;
mod planted;
