"""What reads bytes: HDF5, folders, archives, tables, images, FITS, the hub."""
