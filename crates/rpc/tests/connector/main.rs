//! The implicit connector over loopback, with certificates of a real authority.

#[cfg(test)]
mod authorization;
#[cfg(test)]
mod patience;
#[cfg(test)]
mod perimeter;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transfer;
