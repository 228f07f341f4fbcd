//! A group as bytes, for whoever keeps it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use yagura_event::Timestamp;

use super::home::{Days, Home, Homes, MAX_PLACES};
use super::place::{Cell, Place};
use super::{Group, MAX_VISITS, Travel, Visit};
use crate::method::BadGroup;
use crate::method::bytes::Reader;

/// The first byte: another form would have another.
const FORM: u8 = 1;

/// What stands before an address.
const NONE: u8 = 0;
const V4: u8 = 4;
const V6: u8 = 6;

impl Group {
    /// The group as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        let visits = u32::try_from(self.visits.len()).unwrap_or(u32::MAX);
        bytes.extend(visits.to_le_bytes());
        for visit in &self.visits {
            bytes.extend(visit.time.0.to_le_bytes());
            bytes.extend(visit.place.parts().map(i32::to_le_bytes).as_flattened());
            bytes.extend(visit.accuracy.to_le_bytes());
            match visit.address {
                None => bytes.push(NONE),
                Some(IpAddr::V4(address)) => {
                    bytes.push(V4);
                    bytes.extend(address.octets());
                }
                Some(IpAddr::V6(address)) => {
                    bytes.push(V6);
                    bytes.extend(address.octets());
                }
            }
        }
        bytes.extend(self.homes.days.0.to_le_bytes());
        for home in &self.homes.places {
            bytes.extend(home.cell.latitude.to_le_bytes());
            bytes.extend(home.cell.longitude.to_le_bytes());
            bytes.extend(home.days.0.to_le_bytes());
        }
        bytes
    }

    /// The group that `bytes` are, under the parameters that it was remembered for.
    pub fn decode(travel: &Travel, bytes: &[u8]) -> Result<Self, BadGroup> {
        let mut reader = Reader::new(FORM, bytes)?;
        let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        if count > MAX_VISITS {
            return Err(BadGroup);
        }
        let visits: VecDeque<Visit> = (0..count).map(|_| visit(&mut reader)).collect::<Result<_, _>>()?;
        let mut homes = Homes {
            days: Days(reader.u64()?),
            places: Vec::new(),
        };
        while !reader.is_over() {
            homes.places.push(home(&mut reader)?);
        }
        let in_order = visits.iter().is_sorted_by_key(|visit| visit.time);
        let places = &homes.places;
        let told_apart = places.is_sorted_by(|one, next| one.cell < next.cell);
        let days = homes.days;
        let of_these_days = places.iter().all(|home| home.days.0 & !days.0 == 0);
        let without_baseline = travel.baseline.is_none() && days != Days::default();
        let without_visit = visits.is_empty() && days != Days::default();
        if !in_order
            || !told_apart
            || !of_these_days
            || without_baseline
            || without_visit
            || places.len() > MAX_PLACES
        {
            return Err(BadGroup);
        }
        Ok(Self { visits, homes })
    }
}

fn visit(reader: &mut Reader<'_>) -> Result<Visit, BadGroup> {
    let time = Timestamp(reader.i64()?);
    let place = Place::from_parts(reader.i32()?, reader.i32()?).ok_or(BadGroup)?;
    let accuracy = reader.u32()?;
    let address = match reader.u8()? {
        NONE => None,
        V4 => Some(IpAddr::V4(Ipv4Addr::from_octets(reader.take()?))),
        V6 => Some(IpAddr::V6(Ipv6Addr::from_octets(reader.take()?))),
        _ => return Err(BadGroup),
    };
    if address.is_some_and(|address| address != address.to_canonical()) {
        return Err(BadGroup);
    }
    Ok(Visit {
        time,
        place,
        accuracy,
        address,
    })
}

fn home(reader: &mut Reader<'_>) -> Result<Home, BadGroup> {
    let cell = Cell {
        latitude: reader.i16()?,
        longitude: reader.i16()?,
    };
    let days = Days(reader.u64()?);
    if !cell.is_any() || days == Days::default() {
        return Err(BadGroup);
    }
    Ok(Home { cell, days })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAVEL: Travel = Travel {
        speed: 900,
        distance: 500,
        forget: 1_000,
        lateness: 10,
        baseline: Some(1),
    };

    fn group() -> Group {
        let mut group = Group::default();
        let addresses = [
            None,
            Some("192.0.2.1".parse().unwrap()),
            Some("2001:db8::1".parse().unwrap()),
        ];
        for (place, address) in addresses.into_iter().enumerate() {
            let degrees = f64::from(u8::try_from(place).unwrap()) * -45.0;
            let time = Timestamp(i64::try_from(place).unwrap());
            let place = Place::new(degrees, degrees * 2.0).unwrap();
            group.add(&TRAVEL, Visit::new(time, place, 1.5, address));
        }
        group
    }

    #[test]
    fn bytes_are_the_group_again() {
        for group in [Group::default(), group()] {
            assert_eq!(Group::decode(&TRAVEL, &group.encode()), Ok(group));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = group().encode();
        let change = |place: usize, to: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[place..place + to.len()].copy_from_slice(to);
            bytes
        };
        // Visits of 21, 25 and 37 bytes, then the days, then places of 12.
        let (visits, days) = (5, 5 + 21 + 25 + 37);
        let mapped = [
            &[6],
            &"::ffff:192.0.2.1".parse::<Ipv6Addr>().unwrap().octets()[..],
        ]
        .concat();
        let bad = [
            Vec::new(),
            change(0, &[2]),
            change(1, &[2]),
            change(1, &257_u32.to_le_bytes()),
            change(visits, &i64::MAX.to_le_bytes()),
            change(visits + 8, &900_000_001_i32.to_le_bytes()),
            change(visits + 12, &i32::MIN.to_le_bytes()),
            change(visits + 20, &[5]),
            change(visits + 21 + 25 + 20, &mapped),
            change(days, &[0]),
            change(days + 8, &91_i16.to_le_bytes()),
            change(days + 10, &180_i16.to_le_bytes()),
            change(days + 12, &[0]),
            change(days + 12, &[3]),
            change(days + 8 + 12, &bytes[days + 8..days + 20]),
            bytes[..bytes.len() - 1].to_vec(),
            bytes[..days].to_vec(),
            [&bytes[..], &[0]].concat(),
        ];
        for (which, bad) in bad.iter().enumerate() {
            assert_eq!(Group::decode(&TRAVEL, bad), Err(BadGroup), "{which}");
        }
        let without = Travel {
            baseline: None,
            ..TRAVEL
        };
        assert_eq!(Group::decode(&without, &bytes), Err(BadGroup));
    }
}
