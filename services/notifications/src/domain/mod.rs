//! What the service decides, without a database, a broker or a socket.

pub mod bounce;
pub mod category;
pub mod contact;
pub mod locale;
pub mod money;
pub mod notice;
pub mod notification;
pub mod occasion;
pub mod routing;
