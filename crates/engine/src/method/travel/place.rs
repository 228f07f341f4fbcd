//! Places on the earth.

/// Mean radius of the earth, in metres: IUGG 1980.
const RADIUS: f64 = 6_371_008.8;
/// Parts of a degree: a centimetre on the ground.
const PARTS: i32 = 10_000_000;

/// A point on the earth, to ten millionths of a degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    latitude: i32,
    longitude: i32,
}

impl Place {
    /// The point with that latitude (-90 to 90) and longitude (-180 to 180), in degrees. `None`: there is no such.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "180 degrees are less than 2^31 parts"
        )]
        let parts = |degrees: f64| (degrees * f64::from(PARTS)).round() as i32;
        Some(Self {
            latitude: parts(latitude),
            longitude: parts(longitude),
        })
    }

    /// The point with those parts of a degree, if there is such.
    pub(super) fn from_parts(latitude: i32, longitude: i32) -> Option<Self> {
        let is_within = |parts: i32, degrees: i32| (-degrees * PARTS..=degrees * PARTS).contains(&parts);
        (is_within(latitude, 90) && is_within(longitude, 180)).then_some(Self { latitude, longitude })
    }

    pub(super) fn parts(self) -> [i32; 2] {
        [self.latitude, self.longitude]
    }

    /// Degrees north of the equator.
    pub fn latitude(self) -> f64 {
        f64::from(self.latitude) / f64::from(PARTS)
    }

    /// Degrees east of Greenwich.
    pub fn longitude(self) -> f64 {
        f64::from(self.longitude) / f64::from(PARTS)
    }

    /// Metres along the great circle, by the haversine formula, which is exact for near points. Whole metres, so that it is the
    /// same on every machine.
    pub fn metres_to(self, other: Self) -> u32 {
        let (one, two) = (self.latitude().to_radians(), other.latitude().to_radians());
        let longitudes = (other.longitude() - self.longitude()).to_radians();
        let half_chord_squared =
            ((two - one) / 2.0).sin().powi(2) + one.cos() * two.cos() * (longitudes / 2.0).sin().powi(2);
        let angle = 2.0 * half_chord_squared.clamp(0.0, 1.0).sqrt().asin();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "half the earth's circumference at most"
        )]
        let metres = (RADIUS * angle).round() as u32;
        metres
    }

    /// The nearest whole degrees.
    pub(super) fn cell(self) -> Cell {
        let degrees = |parts: i32| i16::try_from((parts + PARTS / 2).div_euclid(PARTS)).unwrap_or(0);
        let longitude = degrees(self.longitude);
        Cell {
            latitude: degrees(self.latitude),
            // Where east is west.
            longitude: if longitude == 180 { -180 } else { longitude },
        }
    }
}

/// Whole degrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub(super) latitude: i16,
    pub(super) longitude: i16,
}

impl Cell {
    /// Whether places have it.
    pub(super) fn is_any(self) -> bool {
        (-90..=90).contains(&self.latitude) && (-180..180).contains(&self.longitude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_sphere() {
        let place = |latitude, longitude| Place::new(latitude, longitude).unwrap();
        let quarter = 10_007_557;
        let half = 20_015_115;
        for (from, to, metres) in [
            (place(0.0, 0.0), place(0.0, 90.0), quarter),
            (place(90.0, 17.0), place(0.0, -120.0), quarter),
            (place(90.0, 0.0), place(-90.0, 0.0), half),
            (place(12.5, -179.5), place(12.5, 179.5), 108_560),
            (place(0.0, 180.0), place(0.0, -180.0), 0),
            (place(52.52, 13.405), place(40.7128, -74.006), 6_385_225),
        ] {
            assert!(
                from.metres_to(to).abs_diff(metres) <= 500,
                "{} {metres}",
                from.metres_to(to)
            );
            assert_eq!(from.metres_to(to), to.metres_to(from));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for bad in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            90.000_1,
            -91.0,
            f64::MAX,
        ] {
            assert_eq!(Place::new(bad, 0.0), None, "{bad}");
            assert_eq!(Place::new(0.0, bad * 2.0), None, "{bad}");
        }
    }

    #[test]
    fn cells_wrap_where_east_is_west() {
        let cell = |longitude| Place::new(0.2, longitude).unwrap().cell();
        assert_eq!(cell(179.8), cell(-179.8));
        assert_ne!(cell(179.4), cell(-179.8));
        for latitude in [-90.0, 90.0] {
            assert!(Place::new(latitude, 180.0).unwrap().cell().is_any());
        }
    }
}
