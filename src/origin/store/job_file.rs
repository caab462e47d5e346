//! `source.path` with the address of an object, and `source.store`.

use super::address::{Object, Place, SCHEMES};
use super::cloud::{Bucket, no_key};
use super::glob::Glob;
use super::options::{KEYS, StoreOptions};
use crate::calls::{BoxFuture, aside};
use crate::error::{Error, Kind, Result};
use crate::origin::ranged::{Driver, RemoteFiles};
use crate::origin::web::{self, Pinned, Site, Validator};
use crate::origin::{Copies, Entry, Network, Opening, Origin, PATH};
use crate::settings::{Key, KeyKind};
use crate::source::{OpenSource, ReadAt, SourceOptions};
use object_store::ObjectMeta;
use object_store::path::Path;
use std::sync::Arc;

pub(crate) const ENTRY: Entry = Entry {
    key: PATH,
    schemes: SCHEMES,
    keys: &[Key::new("store", KeyKind::Object(KEYS), false, None, "Access to an object store (s3, gs, az).")],
    is_export: false,
    build: |source, options| {
        let place = Place::parse(&source.text(PATH)?)?;
        let store = StoreOptions::read(source, place.cloud, &place.bucket)?;
        let glob = Glob::parse(&place.key)?.map(Arc::new);
        Ok(Arc::new(Objects { place, glob, store, options: options.clone() }))
    },
};

/// An object, or all objects that a glob matches.
#[derive(Clone)]
struct Objects {
    place: Place,
    glob: Option<Arc<Glob>>,
    store: StoreOptions,
    options: SourceOptions,
}

impl Objects {
    fn site(&self, bucket: &Arc<Bucket>, key: Path, network: Network) -> Site {
        let name = self.place.name_of(key.as_ref());
        Site::new(Arc::new(Object { bucket: Arc::clone(bucket), cloud: self.place.cloud, name, key }), network)
    }

    /// Returns the only object, unless the path is a glob.
    fn single(&self, bucket: &Arc<Bucket>, network: &Network) -> Result<Option<Site>> {
        if self.glob.is_some() {
            return Ok(None);
        }
        let key = Path::parse(&self.place.key).map_err(|error| no_key(&self.name(), &error))?;
        Ok(Some(self.site(bucket, key, network.clone())))
    }

    fn open_blocking(
        &self,
        network: Network,
        copies: &Copies,
        driver: Arc<Driver>,
        threads: usize,
    ) -> Result<OpenSource> {
        let bucket = Arc::new(Bucket::new(self.store.clone(), network.client.clone())?);
        match self.single(&bucket, &network)? {
            Some(site) => web::open(site, &self.options, copies, driver, threads),
            None => self.open_all(&bucket, &network, driver, threads),
        }
    }

    fn stamp_blocking(&self, network: Network, driver: Arc<Driver>) -> Result<Option<String>> {
        let bucket = Arc::new(Bucket::new(self.store.clone(), network.client.clone())?);
        match self.single(&bucket, &network)? {
            Some(site) => web::stamp(site, &self.options, driver),
            None => Ok(self.open_all(&bucket, &network, driver, 1)?.stamp()),
        }
    }

    /// Opens all objects that the glob matches, each pinned to the version that the listing names.
    fn open_all(
        &self,
        bucket: &Arc<Bucket>,
        network: &Network,
        driver: Arc<Driver>,
        threads: usize,
    ) -> Result<OpenSource> {
        let (found, name) = (self.list(bucket, network, &driver)?, self.name());
        if found.is_empty() {
            return Err(Error::new(Kind::Local, format!("no object matches {name}"))
                .with_hint("check source.path; * does not match a slash, and ** matches any number of folders"));
        }
        let files = RemoteFiles::new(driver, threads);
        let mut parts: Vec<(String, Arc<dyn ReadAt>)> = Vec::with_capacity(found.len());
        for object in found {
            let name = self.place.name_of(object.location.as_ref());
            let validator = object.e_tag.as_deref().and_then(Validator::of_tag).ok_or_else(|| {
                Error::new(Kind::Local, format!("{name}: the store names no version of this object"))
                    .with_hint("name each object by itself, without *: it is copied then")
            })?;
            let site = self.site(bucket, object.location, network.clone());
            parts.push((name, Arc::new(files.file(Arc::new(Pinned { site, size: object.size, validator })))));
        }
        OpenSource::from_parts(parts, &self.options)
    }

    fn list(&self, bucket: &Arc<Bucket>, network: &Network, driver: &Driver) -> Result<Vec<ObjectMeta>> {
        let Some(glob) = self.glob.clone() else { return Ok(Vec::new()) };
        let (bucket, name) = (Arc::clone(bucket), self.name());
        // only for its calls: a listing is not about one object
        let site = self.site(&bucket, Path::default(), network.clone());
        driver.wait(async move { bucket.list(&site.remote(), &name, &glob.prefix, &|key| glob.fits(key)).await })
    }
}

impl Origin for Objects {
    fn name(&self) -> String {
        self.place.name_of(&self.place.key)
    }

    fn options(&self) -> &SourceOptions {
        &self.options
    }

    fn open<'a>(&'a self, opening: &'a Opening<'_>) -> BoxFuture<'a, Result<OpenSource>> {
        let (this, copies, threads) = (self.clone(), opening.copies.clone(), opening.threads);
        let cancelled = Arc::clone(&opening.cancelled);
        Box::pin(async move {
            let network = (opening.network)()?;
            let open = move || this.open_blocking(network, &copies, Driver::start(cancelled)?, threads);
            aside(opening.in_line, open).await?
        })
    }

    fn stamp<'a>(&'a self, opening: &'a Opening<'_>) -> BoxFuture<'a, Result<Option<String>>> {
        let (this, cancelled) = (self.clone(), Arc::clone(&opening.cancelled));
        Box::pin(async move {
            let network = (opening.network)()?;
            aside(opening.in_line, move || this.stamp_blocking(network, Driver::start(cancelled)?)).await?
        })
    }
}
