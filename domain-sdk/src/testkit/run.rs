//! The run of one scenario: it numbers the steps, does them in a world, and panics with the step at which a check
//! failed. It knows nothing of the entity's types.

mod sessions;

use xp_protocol::Address;

use super::actor::Actor;
use super::broken::Broken;
use super::observed::Observed;
use super::world::World;

/// A world, the entity that the story is about, and how far the story is.
pub(super) struct Run {
    world: World,
    main: Address,
    /// Kinds of event that need not change a state.
    log_only: Vec<&'static str>,
    step: u32,
    /// What the test did last.
    title: String,
}

impl Run {
    /// A run about `main`, whose kind `world` hosts.
    pub(super) fn new(mut world: World, main: &Address) -> Self {
        world.actor(main).expect("its kind is hosted");
        Self {
            world,
            main: main.clone(),
            log_only: Vec::new(),
            step: 0,
            title: String::new(),
        }
    }

    /// The entity of the story has this address; to be said before anything happens.
    #[track_caller]
    pub(super) fn rename_main(&mut self, address: Address) {
        self.world.rename(&self.main, address.clone());
        self.main = address;
    }

    pub(super) fn declare_log_only(&mut self, kinds: impl IntoIterator<Item = &'static str>) {
        self.log_only.extend(kinds);
    }

    /// Begins a step and does it. A fault that nobody expected in the step before ends the test.
    #[track_caller]
    pub(super) fn step(
        &mut self,
        title: String,
        deed: impl FnOnce(&mut World, &Address) -> Result<(), Broken>,
    ) {
        self.no_fault_left();
        self.step += 1;
        self.title = title;
        self.world.begin();
        let done = deed(&mut self.world, &self.main);
        self.checked(done);
    }

    /// Checks something of what the last step brought about.
    #[track_caller]
    pub(super) fn check(
        &mut self,
        assertion: impl FnOnce(&mut Observed, &Address) -> Result<(), Broken>,
    ) {
        let held = assertion(self.world.observed(), &self.main);
        self.checked(held);
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// For what is set before anything happens, or between two steps.
    pub(super) fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    pub(super) fn main(&self) -> &Actor {
        self.world.known(&self.main)
    }

    /// The value, or the end of the test.
    #[track_caller]
    pub(super) fn checked<T>(&self, result: Result<T, Broken>) -> T {
        match result {
            Ok(value) => value,
            Err(Broken(what)) => {
                panic!("{}, step {}: {}\n{what}", self.main, self.step, self.title)
            }
        }
    }

    #[track_caller]
    fn no_fault_left(&mut self) {
        let found = match self.world.observed().faults() {
            [] => return,
            [(entity, fault), ..] => {
                format!("{entity} has a fault that nobody expected: {fault}")
            }
        };
        self.checked(Err(Broken(found)))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.no_fault_left();
        let checked = self.world.check_at_the_end(&self.log_only);
        self.checked(checked);
    }
}
