console.log('spillway')
