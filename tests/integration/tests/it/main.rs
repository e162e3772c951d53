//! The product as its users have it: processes of the real `postroad` program in a lab of their own, with an internet
//! around them, killed, cut off, reconfigured and spoken to by other people's programs.
//!
//! | module | what is promised |
//! |---|---|
//! | `demo` | a stranger can run it in one command |
//! | `soak` | accepted mail survives dying processes, wrong clocks, crowds, bad peers, a failing directory |
//! | `restart` | a long queue survives a restart |
//! | `away` | mail flows while the directory is away |
//! | `configuration` | a change reaches every service; an invalid one reaches none |
//! | `moving` | a database takes its mail to another server, whoever is killed meanwhile |
//! | `leaving` | a server that leaves the organization sends what it holds |
//! | `reload` | settings and certificates are read anew without a session dropped |
//! | `kubernetes` | the manifests of `deploy/k8s` are what a cluster takes |
//! | `entrances` | TLS from the first octet, and load balancers that are believed |
//! | `failover` | another server takes over, or mail waits |
//! | `perimeter` | mail goes in and out by an Edge server, which knows what it is told and may hand in mail alone |
//! | `pressure` | a server whose disk is full takes no mail, and another does |
//! | `probe` | the way out by each connector can be tried, and nothing is sent |
//! | `three_sites` | mail stops at the hub, divides there, backs off, and waits where it could not go on |
//! | `observed` | traces and metrics tell what happened, and nothing that a stranger can make up becomes a series |
//! | `outside` | swaks and Postfix are served, and get no relay |
//! | `sites` | an organization of many servers runs where a site is one process, and stands still |
//! | `walls` | what a server keeps is its own, and its services give up what they do not need |
//! | `authorization` | the implicit connector is for services of the organization |
//!
//! Each test has a lab with a network, ports and files of its own. Not here: what one crate can show alone.

#![expect(clippy::unwrap_used, reason = "every line of it is a test")]

mod authorization;
mod away;
mod configuration;
mod demo;
mod entrances;
mod failover;
mod images;
mod kubernetes;
mod leaving;
mod moving;
mod observed;
mod outside;
mod perimeter;
mod pressure;
mod probe;
mod reload;
mod restart;
mod sites;
mod soak;
mod support;
mod three_sites;
mod walls;
