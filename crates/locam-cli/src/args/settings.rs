use clap::Args;

/// How patches are cut from annotated whole images.
#[derive(Debug, Args)]
pub(crate) struct PatchArgs {
    /// Object classes to use, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) classes: Option<Vec<String>>,
    /// Background patches cut from each annotated image, away from the objects; 0 for no background class
    /// [default: as many as objects, but at least 3]
    #[arg(long, value_name = "COUNT")]
    pub(crate) background: Option<usize>,
    /// Side of the square window cut from annotated images, in their pixels [default: 1.2 times the usual object,
    /// between the sizes of several classes; the patch size where objects are points]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) window: Option<u32>,
    /// Largest shift of a window from its object's centre, as a fraction of the window [default: 0]
    #[arg(long, value_name = "FRACTION")]
    pub(crate) jitter: Option<f64>,
    /// Size of the objects in labelled patches, in pixels of the patches [default: known where boxes are annotated]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) patch_object_size: Option<f64>,
    /// Microns per pixel of the images, where they don't say it themselves: slides are then scaled by theirs [default: as
    /// the images say]
    #[arg(long, value_name = "MICRONS")]
    pub(crate) microns_per_pixel: Option<f64>,
}

/// Each flag says the same as the key of that name in the TOML file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingArgs {
    /// The network, by torchvision's name: resnet18, resnet34, resnet50, vgg16, vgg19, `squeezenet1_1`, `mobilenet_v2`
    /// [default: resnet18]
    #[arg(long)]
    pub(crate) arch: Option<String>,
    /// Where the weights start: none, imagenet, or a .safetensors or .pth file [default: none]
    #[arg(long)]
    pub(crate) weights: Option<String>,
    /// Passes over the training patches [default: 15]
    #[arg(long)]
    pub(crate) epochs: Option<usize>,
    /// Patches a step [default: 32]
    #[arg(long)]
    pub(crate) batch_size: Option<usize>,
    /// Side to which patches are resized, in pixels [default: 224]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) patch_size: Option<u32>,
    /// sgd, adam or adamw [default: sgd]
    #[arg(long)]
    pub(crate) optimizer: Option<String>,
    /// Learning rate after warm-up [default: with SGD 0.01 from random weights and 0.001 from others; 0.0003 with Adam and
    /// AdamW]
    #[arg(long)]
    pub(crate) learning_rate: Option<f64>,
    /// Momentum of SGD [default: 0.9]
    #[arg(long)]
    pub(crate) momentum: Option<f64>,
    /// Weight decay [default: 0]
    #[arg(long)]
    pub(crate) weight_decay: Option<f64>,
    /// constant, step or cosine [default: constant]
    #[arg(long)]
    pub(crate) schedule: Option<String>,
    /// With the step schedule: epochs from one step to the next [default: 5]
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) step_every: Option<usize>,
    /// With the step schedule: what each step multiplies the learning rate by [default: 0.1]
    #[arg(long, value_name = "FACTOR")]
    pub(crate) step_factor: Option<f64>,
    /// Epochs over which the learning rate rises to its value; may be fractional [default: 0]
    #[arg(long)]
    pub(crate) warmup_epochs: Option<f64>,
    /// The part of each target that is spread evenly over all classes, from 0 to below 1 [default: 0]
    #[arg(long, value_name = "PART")]
    pub(crate) label_smoothing: Option<f64>,
    /// How much patches of each class count in the loss: none (all the same) or balanced (inverse to how many training
    /// patches the class has) [default: none]
    #[arg(long, value_name = "RULE")]
    pub(crate) class_weights: Option<String>,
    /// How the patches of an epoch are drawn: shuffled (each once) or balanced (each class as often as the others; rare
    /// patches come several times, of frequent ones each epoch shows others) [default: shuffled]
    #[arg(long, value_name = "RULE")]
    pub(crate) sampling: Option<String>,
    /// Validate and keep an exponential moving average of the weights and of batch norm's statistics with this decay, e.g.
    /// 0.99; in the first steps the decay is (1 + steps) / (10 + steps) where that is less [default: no average]
    #[arg(long, value_name = "DECAY")]
    pub(crate) ema: Option<f64>,
    /// Keep the network up to this module as the weights have it, its batch norm too: conv1, layer1 to layer4 in resnets,
    /// features.0, features.1 and so on in the others. With --augment none the CPU runs it once a patch and not once an epoch
    /// [default: train all]
    #[arg(long, value_name = "MODULE")]
    pub(crate) freeze: Option<String>,
    /// Multiply the learning rate by this from each module to the one before; the head has the full rate [default: 1]
    #[arg(long, value_name = "FACTOR")]
    pub(crate) layer_decay: Option<f64>,
    /// End training after so many epochs without a better one on the validation patches [default: never]
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) patience: Option<usize>,
    /// Scaling of pixel values: unit (0 to 1) or imagenet (its mean and deviation) [default: unit]
    #[arg(long)]
    pub(crate) normalization: Option<String>,
    /// How training patches are changed at random: the preset microscopy, photo, characters or none, or single changes
    /// separated by commas: flips, turns, rotation, tilt, scale (0.6 to 1.7), zoom (0.8 to 1.25), shift, stain, colour,
    /// light, blur, noise, jpeg, cut-out, copy-paste (crowds of small objects that are annotated and not sought, in
    /// microscopy too), and mixup and cutmix, which blend the patches of a batch in pairs with their classes and are in no
    /// preset. A minus leaves one out: microscopy,-scale for images that come at one scale
    /// [default: photo]
    #[arg(long, value_name = "PRESET")]
    pub(crate) augment: Option<String>,
    /// Mirror training patches at random, whatever --augment says
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) flips: Option<bool>,
    /// Turn training patches by right angles at random, whatever --augment says
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) turns: Option<bool>,
    /// Seed of everything random [default: 0]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Threads that decode and resize ahead of training [default: 2]
    #[arg(long)]
    pub(crate) workers: Option<usize>,
    /// auto, cpu, cuda or wgpu [default: auto]
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// f32, or bf16: twice as fast or more on CPUs with AMX, with maps and gradients of two to three digits [default: f32]
    #[arg(long)]
    pub(crate) precision: Option<String>,
    /// Part of the patches kept for choosing the best epoch, where the data give no split [default: 0.15]
    #[arg(long, value_name = "FRACTION")]
    pub(crate) val_fraction: Option<f64>,
    /// Part of the patches kept for the test at the end, where the data give no split [default: 0.2]
    #[arg(long, value_name = "FRACTION")]
    pub(crate) test_fraction: Option<f64>,
}
