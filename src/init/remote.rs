//! Where the repository is kept, by the address of its remote.

use percent_encoding::percent_decode_str;

use super::render::Ci;

/// Who signs the identity tokens of jobs at github.com.
pub(super) const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    /// Nothing where it is at a host that workflows cannot be written for.
    pub(super) ci: Option<Ci>,
    /// `github.com`, or a server of one's own.
    pub(super) host: String,
    /// `owner/name`; at Azure DevOps `organisation/project`.
    pub(super) name: Option<String>,
}

impl Remote {
    /// Of an address in either of git's notations; nothing of a folder.
    pub(super) fn of(address: &str) -> Option<Self> {
        let (host, path) = parts(address)?;
        let path = path.trim_matches('/');
        let path: Vec<&str> = path.strip_suffix(".git").unwrap_or(path).split('/').collect();
        let azure = Some(Ci::Azure);
        let (ci, both) = match (&*host, &path[..]) {
            (host, _) if ["gitlab", "bitbucket"].iter().any(|other| host.contains(other)) => {
                Some((None, None))
            }
            ("ssh.dev.azure.com" | "vs-ssh.visualstudio.com", ["v3", organisation, project, _]) => {
                Some((azure, Some([*organisation, *project])))
            }
            // A repository that is called as its project is stands without it.
            ("dev.azure.com", [organisation, "_git", project])
            | ("dev.azure.com", [organisation, project, "_git", _]) => {
                Some((azure, Some([*organisation, *project])))
            }
            (host, ["_git", project] | [.., project, "_git", _])
                if let Some(organisation) = host.strip_suffix(".visualstudio.com") =>
            {
                Some((azure, Some([organisation, *project])))
            }
            // A server of one's own: its collections are what organisations are elsewhere.
            (_, [.., collection, project, "_git", _]) => {
                Some((azure, Some([*collection, *project])))
            }
            (_, path) if path.contains(&"_git") => Some((azure, None)),
            (_, [owner, name]) => Some((Some(Ci::GitHub), Some([*owner, *name]))),
            _ => None,
        }?;
        let name = match both {
            None => None,
            Some(both) if both.iter().any(|part| part.is_empty()) => return None,
            // A federation subject has names as people write them.
            Some(both) => {
                Some(percent_decode_str(&both.join("/")).decode_utf8().ok()?.into_owned())
            }
        };
        Some(Self { ci, host, name })
    }

    /// Who signs the identity tokens of GitHub's jobs.
    pub(super) fn github_issuer(&self) -> String {
        match &*self.host {
            "github.com" => GITHUB_ISSUER.to_owned(),
            // Where the data stay in one region.
            host if host.ends_with(".ghe.com") => format!("https://token.actions.{host}"),
            host => format!("https://{host}/_services/token"),
        }
    }
}

/// The host and the path, of `https://host/path` or `user@host:path`.
fn parts(address: &str) -> Option<(String, String)> {
    let (host, path) = if address.contains("://") {
        let url = url::Url::parse(address).ok()?;
        (url.host_str()?.to_owned(), url.path().to_owned())
    } else {
        let (host, path) = address.split_once(':').filter(|(host, _)| !host.contains('/'))?;
        (host.rsplit('@').next().unwrap_or(host).to_owned(), path.to_owned())
    };
    let host = host.to_ascii_lowercase();
    // Its other names: that of port 443, and those that people give their keys.
    let is_github =
        ["www.github.com", "ssh.github.com"].contains(&&*host) || host.starts_with("github.com-");
    let host = if is_github { "github.com".to_owned() } else { host };
    host.contains('.').then_some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_by_its_address() {
        use Ci::{Azure, GitHub};
        for (address, ci, name) in [
            ("https://github.com/acme/flights.git", GitHub, "acme/flights"),
            ("https://github.com/acme/flights/", GitHub, "acme/flights"),
            ("https://github.com/18F/flights.git", GitHub, "18F/flights"),
            ("git@github.com:acme/flights.git", GitHub, "acme/flights"),
            ("git@github.com-work:acme/flights.git", GitHub, "acme/flights"),
            ("ssh://git@ssh.github.com:443/3scale/flights", GitHub, "3scale/flights"),
            ("ssh://git@git.acme.test:2222/acme/flights.git", GitHub, "acme/flights"),
            ("https://dev.azure.com/acme/ml/_git/flights", Azure, "acme/ml"),
            ("https://acme@dev.azure.com/acme/ml/_git/flights", Azure, "acme/ml"),
            ("https://dev.azure.com/acme/_git/flights", Azure, "acme/flights"),
            ("git@ssh.dev.azure.com:v3/acme/ml/flights", Azure, "acme/ml"),
            ("git@ssh.dev.azure.com:v3/acme/ml%20team/flights", Azure, "acme/ml team"),
            ("acme@vs-ssh.visualstudio.com:v3/acme/ml/flights", Azure, "acme/ml"),
            ("https://acme.visualstudio.com/ml/_git/flights", Azure, "acme/ml"),
            ("https://acme.visualstudio.com/DefaultCollection/ml/_git/flights", Azure, "acme/ml"),
            ("https://acme.visualstudio.com/_git/flights", Azure, "acme/flights"),
            ("https://tfs.example.test/tfs/acme/ml/_git/flights", Azure, "acme/ml"),
        ] {
            let found = Remote::of(address).unwrap();
            assert_eq!((found.ci, found.name.as_deref()), (Some(ci), Some(name)), "{address}");
        }
        for address in
            ["/srv/flights", "../flights.git", "../acme/flights.git", "https://github.com/", "a:b"]
        {
            assert_eq!(Remote::of(address), None, "{address}");
        }
        let server = Remote::of("https://example.test/ml/_git/flights").unwrap();
        assert_eq!((server.ci, server.name), (Some(Ci::Azure), None));
        for address in [
            "https://gitlab.com/acme/flights.git",
            "git@gitlab.acme.test:ml/team/flights.git",
            "https://bitbucket.org/acme/flights",
            "https://bitbucket.acme.test/scm/ml/flights.git",
        ] {
            assert_eq!(Remote::of(address).unwrap().ci, None, "{address}");
        }
    }

    #[test]
    fn a_server_of_ones_own_signs_its_tokens_itself() {
        for (address, issuer) in [
            ("git@github.com:acme/flights", GITHUB_ISSUER),
            ("ssh://git@ssh.github.com:443/acme/flights", GITHUB_ISSUER),
            ("https://acme.ghe.com/acme/flights", "https://token.actions.acme.ghe.com"),
            ("https://git.acme.test/acme/flights", "https://git.acme.test/_services/token"),
        ] {
            assert_eq!(Remote::of(address).unwrap().github_issuer(), issuer);
        }
    }
}
